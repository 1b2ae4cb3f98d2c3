"""What lies in config/ for others to load: the CloudFormation stack and the rules of Prometheus.

Judged by those who would load them: cfn-lint, moto, promtool.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws

from conftest import ROOT

STACK = ROOT / "config" / "aws" / "stack.yaml"
RULES = ROOT / "config" / "prometheus" / "sevird.rules.yml"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: !Ref X is {"Ref": "X"}."""


def short_form(loader, suffix, node):
    name = suffix if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


@pytest.fixture(scope="module")
def stack():
    return yaml.load(STACK.read_text(), Loader)


def of_type(stack, kind):
    return {
        name: resource
        for name, resource in stack["Resources"].items()
        if resource["Type"] == f"AWS::{kind}"
    }


def statements(stack):
    """(who, statement) of every policy that grants something to a role."""
    for name, resource in of_type(stack, "IAM::ManagedPolicy").items():
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement
    for name, resource in of_type(stack, "IAM::Role").items():
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def as_list(value):
    return value if isinstance(value, list) else [value]


# ---- the stack


def test_cfn_lint_has_nothing_to_say():
    lint = Path(sys.executable).parent / "cfn-lint"
    done = subprocess.run([lint, STACK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.filterwarnings("ignore:Tried to parse")
@mock_aws
def test_it_deploys(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = boto3.session.Session(region_name="us-east-1")
    formation = session.client("cloudformation")
    formation.create_stack(
        StackName="sevird",
        TemplateBody=STACK.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": "RawBucketName", "ParameterValue": "raw-bucket"},
            {"ParameterKey": "ProcessedBucketName", "ParameterValue": "processed-bucket"},
        ],
    )
    found = formation.describe_stacks(StackName="sevird")["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    outputs = {o["OutputKey"]: o["OutputValue"] for o in found["Outputs"]}
    assert outputs["RawUri"] == "s3://raw-bucket/"
    assert outputs["ProcessedUri"] == "s3://processed-bucket"

    sqs = session.client("sqs")
    queue = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])
    queue = queue["Attributes"]
    dead = sqs.get_queue_attributes(QueueUrl=outputs["DeadLetterQueueUrl"], AttributeNames=["All"])
    dead = dead["Attributes"]
    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(dead["MessageRetentionPeriod"]) > int(queue["MessageRetentionPeriod"])
    assert session.client("sns").get_topic_attributes(TopicArn=outputs["TopicArn"])


def test_buckets_are_encrypted_private_and_let_unfinished_uploads_go(stack):
    buckets = of_type(stack, "S3::Bucket")
    assert set(buckets) == {"RawBucket", "ProcessedBucket"}
    for bucket in buckets.values():
        properties = bucket["Properties"]
        block = properties["PublicAccessBlockConfiguration"]
        assert len(block) == 4 and all(block.values())
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        rules = properties["LifecycleConfiguration"]["Rules"]
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
        assert bucket["DeletionPolicy"] == "Retain"


def test_every_policy_names_its_resources(stack):
    """`*` alone stands only where AWS has no resources, and then a condition limits it."""
    seen = 0
    for who, statement in statements(stack):
        seen += 1
        assert statement["Effect"] == "Allow", who
        for action in as_list(statement["Action"]):
            assert "*" not in action, f"{who}: {action}"
        for resource in as_list(statement["Resource"]):
            if resource == "*":
                assert statement["Action"] == "cloudwatch:PutMetricData", who
                assert statement["Condition"]["StringEquals"]["cloudwatch:namespace"], who
                continue
            (text,) = resource.values()
            text = text if isinstance(text, str) else ".".join(text)
            # Within one bucket, one database, one log group; never a whole service.
            assert not re.search(r":\*$|:::\*|/\*/|^\*", text), f"{who}: {text}"
    assert seen > 15


def test_glue_may_write_what_it_makes_and_never_the_raw_bucket(stack):
    raw, written = [], []
    for who, statement in statements(stack):
        actions = as_list(statement["Action"])
        resources = json.dumps(statement["Resource"])
        if "RawBucket" in resources:
            raw += actions
        if who == "GlueRole" and "s3:PutObject" in actions:
            written = as_list(statement["Resource"])
    assert raw and not [action for action in raw if re.search("Put|Delete", action)]
    assert written and all(
        re.search(r"/(tables|catalog|_glue)/\*$", resource["Fn::Sub"]) for resource in written
    )


def test_queue_and_buckets_take_tls_only_and_the_bucket_alone_may_tell(stack):
    for kind in ("S3::BucketPolicy", "SQS::QueuePolicy"):
        policies = of_type(stack, kind)
        assert policies
        for policy in policies.values():
            listed = policy["Properties"]["PolicyDocument"]["Statement"]
            deny = [s for s in listed if s["Effect"] == "Deny"]
            assert deny[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in listed:
                if statement["Effect"] == "Allow":
                    assert "Service" in statement["Principal"]
                    assert "aws:SourceArn" in statement["Condition"]["ArnEquals"]


# ---- Prometheus


def promtool(*args):
    return subprocess.run(
        ["promtool", *args], capture_output=True, text=True, check=False, cwd=RULES.parent
    )


def test_promtool_accepts_the_rules_and_their_tests():
    done = promtool("check", "rules", RULES.name)
    assert done.returncode == 0, done.stderr
    done = promtool("test", "rules", "sevird.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_name_metrics_that_exist():
    declared = (ROOT / "daemon" / "metrics.h").read_text()
    names = set(re.findall(r'(?:COUNTER|GAUGE|HISTOGRAM)\(\w+, "(\w+)"', declared))
    used = set(re.findall(r"\bsevird_(\w+?)(?:_bucket)?(?=[{\[ )>])", RULES.read_text()))
    used -= {"done", "frames", "ingest_lag_seconds:p90_1h"}  # our own records
    assert used and used <= names, used - names


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not():
    alerts = [
        rule["alert"]
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    tests = yaml.safe_load((RULES.parent / "sevird.rules.test.yml").read_text())["tests"]
    quiet = {t["alertname"] for t in tests[0]["alert_rule_test"] if t["exp_alerts"] == []}
    fires = re.findall(r'alertname="(\w+)"', json.dumps(tests[1]).replace('\\"', '"'))
    assert set(alerts) == quiet == set(fires)


def test_each_output_says_which_option_takes_it(stack):
    schema = json.loads((ROOT / "config" / "sevird.schema.json").read_text())

    def known(path):
        node = schema
        for part in path.split("."):
            node = node.get("properties", {}).get(part)
            if node is None:
                return False
        return True

    options = [
        output["Description"]
        for output in stack["Outputs"].values()
        if re.fullmatch(r"[a-z_]+\.[a-z_.]+", output["Description"])
    ]
    assert len(options) >= 8
    assert [option for option in options if not known(option)] == []
