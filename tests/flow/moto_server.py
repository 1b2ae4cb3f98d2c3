"""moto as a program for the tests: `python moto_server.py` prints its port once it listens.

Four of moto 5.2.1's shortcomings are mended. Two are in its check of signatures, which would else
refuse what AWS accepts and accept what AWS refuses: it signs the path that werkzeug decoded, so keys
with '=' (all of ours) never match; and it does not compare a payload with its declared digest. The
third: a run of a Glue job succeeds though nobody has done anything; ours, whose arguments name a plan,
wait until its result is there. The fourth is time: with each message that it hands out it counts all
that the queue has, four times, and takes a while to tell the time; and it lists its own modules in
each request.
"""

import datetime
import functools
import hashlib
import sys
import time

import moto.core.utils
from botocore.awsrequest import AWSRequest
from flask import request as flask_request
from moto.core import DEFAULT_ACCOUNT_ID
from moto.glue.models import FakeJobRun
from moto.iam import access_control
from moto.moto_api._internal.managed_state_model import ManagedState
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from moto.sqs.models import SQSBackend
from werkzeug.serving import WSGIRequestHandler, make_server


def create_aws_request(self):
    """IAMRequestBase._create_aws_request, but of the bytes that came over the wire."""
    listed = self._get_string_between("SignedHeaders=", ",", self._headers["Authorization"])
    headers = self._create_headers_for_aws_request(listed.split(";"), self._headers)
    uri = flask_request.environ["RAW_URI"]
    body = self._body or self._data
    declared = headers.get("X-Amz-Content-Sha256", "")
    if len(declared) == 64 and isinstance(body, bytes):
        if hashlib.sha256(body).hexdigest() != declared:
            self._raise_signature_does_not_match()
    request = AWSRequest(method=self._method, url=uri, data=body, headers=headers)
    request.context["timestamp"] = headers["X-Amz-Date"]
    return request


def advance(self):
    """FakeJobRun.advance, once somebody has done the work."""
    plan = (self.arguments or {}).get("--plan", "").removeprefix("s3://")
    bucket, _, key = plan.partition("/")
    result = key.removesuffix("plan.json") + "result.json"
    if not plan or s3_backends[DEFAULT_ACCOUNT_ID]["aws"].head_object(bucket, result):
        ManagedState.advance(self)


def is_retained(self, queue_name, message):
    """SQSBackend.is_message_valid_based_on_retention_period"""
    period = self.get_queue(queue_name).message_retention_period
    return period + message.sent_timestamp / 1000 > time.time()


def seconds(dt=None):
    """moto.core.utils.unix_time"""
    return dt.replace(tzinfo=datetime.timezone.utc).timestamp() if dt else time.time()


class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        sys.stderr.write(f"{self.requestline} -> {code}\n")


def main():
    access_control.IAMRequestBase._create_aws_request = create_aws_request
    FakeJobRun.advance = advance
    find = DomainDispatcherApplication.get_backend_for_host
    DomainDispatcherApplication.get_backend_for_host = functools.cache(find)
    moto.core.utils.unix_time = seconds
    SQSBackend.is_message_valid_based_on_retention_period = is_retained
    app = DomainDispatcherApplication(create_backend_app)
    app.debug = True
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
