"""Who hears of an object, and in which words: S3's records, SNS's wrapping, EventBridge's events.

The words are AWS's, not an emulator's: sequencers that grow, '/' unescaped in a form-encoded key,
`version-id` and `etag` and a raw key on EventBridge, only one event for a multipart upload.
"""

import json
import random
import time
import uuid
from urllib.parse import quote_plus

from .s3 import iso
from .sign import Refused
from .wire import Answer

REASONS = {
    "Put": "PutObject",
    "Post": "POST Object",
    "Copy": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}


def stamp():
    now = time.time()
    return iso(now)[:-4] + f"{int(now * 1000) % 1000:03d}Z"


class Topic:
    def __init__(self, arn):
        self.arn, self.subscribers, self.published = arn, [], []


class Events:
    """Also SNS, and of EventBridge the two calls that make a rule."""

    def __init__(self, server):
        self.server = server
        self.topics, self.rules = {}, {}
        self.held = None  # a list: what waits for release()

    # -- of objects ------------------------------------------------------------------------------

    def created(self, bucket, key, version, event):
        if not bucket.targets:
            return
        told = {"size": len(version.body), "eTag": version.etag, "sequencer": version.sequencer}
        if version.id:
            told["versionId"] = version.id
        self.tell(bucket, "ObjectCreated:" + event, key, told)

    def removed(self, bucket, key, sequencer, event, version_id):
        if not bucket.targets:
            return
        told = {"sequencer": sequencer, **({"versionId": version_id} if version_id else {})}
        self.tell(bucket, "ObjectRemoved:" + event, key, told)

    def tell(self, bucket, name, key, told):
        for kind, arn, events in bucket.targets:
            if kind == "events":
                self.deliver_event(self.bridge(bucket, name, key, told))
            elif any(self.is_of(name, event) for event in events):
                body = json.dumps({"Records": [self.record(bucket, name, key, told)]})
                self.deliver(kind, arn, body)

    @staticmethod
    def is_of(name, event):
        event = event.removeprefix("s3:")
        return name == event or (event.endswith("*") and name.startswith(event[:-1]))

    def record(self, bucket, name, key, told):
        return {
            "eventVersion": "2.6",
            "eventSource": "aws:s3",
            "awsRegion": bucket.region,
            "eventTime": stamp(),
            "eventName": name,
            "userIdentity": {"principalId": "AWS:AIDAFAKE"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": "FAKE", "x-amz-id-2": "host"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "to-the-queue",
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": {"principalId": "A3FAKE"},
                    "arn": "arn:aws:s3:::" + bucket.name,
                },
                "object": {"key": quote_plus(key, safe="/*").replace("~", "%7E"), **told},
            },
        }

    def bridge(self, bucket, name, key, told):
        what, _, how = name.partition(":")
        removed = what == "ObjectRemoved"
        found = {"key": key, "sequencer": told["sequencer"]}
        if not removed:
            found.update({"size": told["size"], "etag": told["eTag"]})
        if "versionId" in told:
            found["version-id"] = told["versionId"]
        detail = {
            "version": "0",
            "bucket": {"name": bucket.name},
            "object": found,
            "request-id": "FAKE",
            "requester": self.server.account,
            "source-ip-address": "127.0.0.1",
            "reason": "DeleteObject" if removed else REASONS[how],
        }
        if removed:
            marker = how == "DeleteMarkerCreated"
            detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Deleted" if removed else "Object Created",
            "source": "aws.s3",
            "account": self.server.account,
            "time": iso(time.time())[:-5] + "Z",
            "region": bucket.region,
            "resources": ["arn:aws:s3:::" + bucket.name],
            "detail": detail,
        }

    def test(self, bucket, kind, arn):
        """What S3 sends when a configuration is saved."""
        told = {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": stamp(),
            "Bucket": bucket.name,
            "RequestId": "FAKE",
            "HostId": "host",
        }
        self.deliver(kind, arn, json.dumps(told))

    # -- deliveries ------------------------------------------------------------------------------

    def deliver(self, kind, arn, body):
        if kind == "sqs":
            self.enqueue(arn, body)
        else:
            self.publish(self.topics[arn], body, "Amazon S3 Notification", {})

    def deliver_event(self, event):
        for rule in self.rules.values():
            wanted = rule["pattern"].get("detail", {}).get("bucket", {}).get("name")
            if wanted is None or event["detail"]["bucket"]["name"] in wanted:
                for arn in rule["targets"].values():
                    self.enqueue(arn, json.dumps(event))

    def publish(self, topic, message, subject, attributes):
        message_id = str(uuid.uuid4())
        topic.published.append({"subject": subject, "message": message, "attributes": attributes})
        self.server.changed()
        for arn, raw in topic.subscribers:
            wrapped = {
                "Type": "Notification",
                "MessageId": message_id,
                "TopicArn": topic.arn,
                **({"Subject": subject} if subject else {}),
                "Message": message,
                "Timestamp": stamp(),
                "SignatureVersion": "1",
                "Signature": "RkFLRQ==",
                "SigningCertURL": "https://sns.us-east-1.amazonaws.com/fake.pem",
                "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
            }
            self.enqueue(arn, message if raw else json.dumps(wrapped))
        return message_id

    def enqueue(self, arn, body):
        if self.held is None:
            self.server.sqs.by_arn(arn).add(body)
        else:
            self.held.append((arn, body))

    def hold(self):
        self.held = self.held or []

    def release(self, duplicate=0.0, shuffle=False, seed=1):
        """Sends what was held: that part of it twice, and in any order."""
        held, self.held = self.held or [], None
        chance = random.Random(seed)
        held = held + chance.sample(held, int(len(held) * duplicate))
        if shuffle:
            chance.shuffle(held)
        for arn, body in held:
            self.enqueue(arn, body)
        return len(held)

    # -- the calls -------------------------------------------------------------------------------

    def PutRule(self, request, told):
        rule = self.rules.setdefault(told["Name"], {"targets": {}})
        rule["pattern"] = json.loads(told.get("EventPattern", "{}"))
        return {"RuleArn": "arn:aws:events:us-east-1:rule/" + told["Name"]}

    def PutTargets(self, request, told):
        targets = self.rules[told["Rule"]]["targets"]
        targets.update({target["Id"]: target["Arn"] for target in told["Targets"]})
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def answer_json(self, request):
        done = getattr(self, request.operation)(request, json.loads(request.body))
        return Answer(200, json.dumps(done).encode(), {"content-type": "application/x-amz-json-1.1"})

    def CreateTopic(self, form):
        arn = f"arn:aws:sns:us-east-1:{self.server.account}:{form['Name']}"
        self.topics.setdefault(arn, Topic(arn))
        return f"<TopicArn>{arn}</TopicArn>"

    def ListTopics(self, _):
        found = "".join(f"<member><TopicArn>{arn}</TopicArn></member>" for arn in self.topics)
        return f"<Topics>{found}</Topics>"

    def Subscribe(self, form):
        topic = self.topic(form)
        raw = any(
            form.get(f"Attributes.entry.{n}.key") == "RawMessageDelivery"
            and form.get(f"Attributes.entry.{n}.value") == "true"
            for n in range(1, 5)
        )
        topic.subscribers.append((form["Endpoint"], raw))
        return f"<SubscriptionArn>{topic.arn}:{uuid.uuid4()}</SubscriptionArn>"

    def topic(self, form):
        found = self.topics.get(form.get("TopicArn", ""))
        if not found:
            raise Refused("NotFound", 404, "Topic does not exist")
        return found

    def Publish(self, form):
        topic, message = self.topic(form), form.get("Message", "")
        subject = form.get("Subject", "")
        if not message or len(message.encode()) > 256 << 10:
            raise Refused("InvalidParameter", 400, "Invalid parameter: Message too long or empty")
        if len(subject) > 100 or not subject.isprintable() or not subject.isascii():
            raise Refused("InvalidParameter", 400, "Invalid parameter: Subject")
        attributes, n = {}, 1
        while (name := form.get(f"MessageAttributes.entry.{n}.Name")) is not None:
            attributes[name] = form.get(f"MessageAttributes.entry.{n}.Value.StringValue")
            n += 1
        return f"<MessageId>{self.publish(topic, message, subject, attributes)}</MessageId>"
