"""One request's way: whose is it, does a fault strike, is it signed, what is the answer."""

import asyncio
import json
import time
from collections import Counter, deque
from urllib.parse import parse_qsl

from . import sign
from .admin import Admin
from .athena import Athena
from .events import Events
from .faults import Script
from .glue import Glue
from .s3 import S3
from .sign import Key, Refused
from .sqs import SQS
from .sts import STS
from .wire import Answer, Connection, Reset, whole

TARGETS = {"AmazonSQS": "sqs", "AWSEvents": "events", "AmazonAthena": "athena", "AWSGlue": "glue"}
SNS = {"CreateTopic", "ListTopics", "Subscribe", "Publish"}
LOG_MAX = 200000


class Server:
    def __init__(self):
        self.loop = None
        self.port = 0
        self.account = "123456789012"
        self.admin = Admin(self)
        self.connections = set()
        self.watchers = []
        self.reset({}, True)

    def reset(self, keys, verify):
        self.keys = {key_id: Key(secret) for key_id, secret in keys.items()}
        self.verify = verify
        self.skew_s = self.ahead_s = 0
        self.skew_agent = ""
        self.script = Script()
        self.s3, self.sqs, self.events, self.sts = S3(self), SQS(self), Events(self), STS(self)
        self.athena = Athena(self)
        self.glue = Glue(self)
        self.operations, self.statuses, self.struck = Counter(), Counter(), Counter()
        self.served = Counter()
        self.busy = self.busy_most = self.opened = 0
        self.log = deque(maxlen=LOG_MAX)

    @property
    def other_host(self):
        return f"localhost:{self.port}"

    def now(self):
        """For leases and for the end of keys: jumps when a test says so."""
        return time.time() + self.ahead_s

    def skew(self, request):
        return self.skew_s if self.skew_agent in request.headers.get("user-agent", "") else 0

    # -- who is waiting for a change -------------------------------------------------------------

    def changed(self):
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def change(self, timeout_s):
        watcher = self.loop.create_future()
        self.watchers.append(watcher)
        try:
            await asyncio.wait_for(watcher, timeout_s)
        except asyncio.TimeoutError:
            pass

    # -- called by connections -------------------------------------------------------------------

    def connected(self, connection):
        self.connections.add(connection)
        self.opened += 1

    def disconnected(self, connection):
        self.connections.discard(connection)

    def began(self, request):
        """The head is here."""
        if request.path.startswith("/_fake/"):
            request.service = "fake"
            return
        self.busy += 1
        self.busy_most = max(self.busy_most, self.busy)
        target = request.headers.get("x-amz-target")
        form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if target:
            prefix, _, request.operation = target.partition(".")
            request.service = TARGETS.get(prefix, prefix)
        elif form and request.method == "POST" and request.path == "/":
            return  # SNS or STS: the body says which
        else:
            request.service = "s3"
            self.s3.name(request)
        self.strike(request)

    def strike(self, request):
        if self.script.rules:
            request.fault = self.script.fault(request)
            if request.fault:
                self.struck[f"{request.service}.{request.operation}.{request.fault.kind}"] += 1
                if request.fault.kind == "reset":
                    raise Reset

    def ended(self, request, status, sent):
        if request.service == "fake":
            return
        self.busy -= 1
        name = f"{request.service}.{request.operation}"
        self.operations[name] += 1
        self.statuses[f"{name} {status}"] += 1
        if request.operation == "GetObject":
            self.served[f"{request.bucket}/{request.key}"] += sent
        self.log.append(
            {
                "operation": name,
                "bucket": request.bucket,
                "key": request.key,
                "agent": request.headers.get("user-agent", "").partition("/")[0],
                "status": status,
                "in": len(request.body),
                "out": sent,
                "range": request.headers.get("range", ""),
                "fault": request.fault.kind if request.fault else "",
                "connection": request.connection,
                "ms": round((time.monotonic() - request.begun) * 1000, 2),
            }
        )
        self.changed()

    def answer(self, request):
        """An Answer, or a coroutine that gives one."""
        if request.service == "fake":
            return self.admin.answer(request)
        try:
            form = None
            if not request.service:
                form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
                request.operation = form.get("Action", "")
                request.service = "sns" if request.operation in SNS else "sts"
                self.strike(request)
            if request.fault and request.fault.instead:
                raise self.refusal(request)
            if request.fault and request.fault.kind == "silent":
                return Answer()
            if self.verify:
                sign.check(request, self.keys, time.time() + self.skew(request), self.now())
            answer = self.dispatch(request, form)
        except Refused as refused:
            return self.refused(request, refused)
        if asyncio.iscoroutine(answer):
            return self.later(request, answer)
        return self.spoil(request, answer) if request.fault else answer

    async def later(self, request, answer):
        try:
            answer = await answer
        except Refused as refused:
            return self.refused(request, refused)
        return self.spoil(request, answer) if request.fault else answer

    def dispatch(self, request, form):
        if request.service == "s3":
            return self.s3.answer(request)
        if request.service == "sqs":
            return self.sqs.answer(request)
        unsigned = request.operation == "AssumeRoleWithWebIdentity"
        if self.verify and not request.caller and not unsigned:
            raise Refused("MissingAuthenticationToken", 403, "Request is missing Authentication Token")
        if request.service == "events":
            return self.events.answer_json(request)
        if request.service == "athena":
            return self.athena.answer(request)
        if request.service == "glue":
            done = getattr(self.glue, request.operation)(json.loads(request.body))
            headers = {"content-type": "application/x-amz-json-1.1"}
            return Answer(200, json.dumps(done or {}).encode(), headers)
        room = self.events if request.service == "sns" else self.sts
        done = getattr(room, request.operation, None)
        if not done:
            raise Refused("InvalidAction", 400, f"no action {request.operation}")
        done, name = done(form), request.operation
        body = (
            f'<{name}Response xmlns="http://{request.service}.amazonaws.com/doc/"><{name}Result>{done}'
            f"</{name}Result><ResponseMetadata><RequestId>fake</RequestId></ResponseMetadata>"
            f"</{name}Response>"
        )
        return Answer(200, body.encode(), {"content-type": "text/xml"})

    # -- what is not well ------------------------------------------------------------------------

    def refusal(self, request):
        fault = request.fault
        if fault.kind == "redirect":
            return self.s3.elsewhere(request, fault.status, fault.region)
        return Refused(fault.code, fault.status, fault.message, headers=fault.headers)

    def refused(self, request, refused):
        if request.fault and request.fault.html:
            body = b"<html><body>Service temporarily unavailable</body></html>"
            return Answer(refused.status, body, {"content-type": "text/html"})
        if request.service in ("sqs", "events", "athena", "glue"):
            answer = self.sqs.error(request, refused)
        elif request.service == "s3":
            answer = self.s3.error(request, refused)
        else:
            body = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{refused.code}</Code>"
                f"<Message>{refused.message}</Message></Error><RequestId>fake</RequestId>"
                "</ErrorResponse>"
            )
            answer = Answer(refused.status, body.encode(), {"content-type": "text/xml"})
            answer.headers.update(refused.extra.get("headers", {}))
        if request.method == "HEAD":
            answer.body, answer.length = b"", 0
        return answer

    def spoil(self, request, answer):
        """Faults of an answer that was a good one."""
        fault = request.fault
        if fault.kind == "error-after":
            return self.refused(request, Refused(fault.code, fault.status, fault.message))
        if fault.kind == "error-200":
            spoilt = self.refused(request, Refused(fault.code, 200, fault.message))
            return Answer(200, spoilt.body, spoilt.headers)
        if fault.kind == "garbage":
            return Answer(200, fault.body.encode(), {"content-type": "text/html"})
        if fault.kind == "flip" and len(answer.body):
            body = bytearray(whole(answer.body))
            body[len(body) // 2] ^= 0x10
            return Answer(answer.status, bytes(body), answer.headers)
        return answer

    # -- how it stands ---------------------------------------------------------------------------

    def stats(self):
        queues = {}
        for name, queue in self.sqs.queues.items():
            visible, in_flight = queue.counts()
            queues[name] = {
                "visible": visible,
                "in_flight": in_flight,
                "sent": queue.sent,
                "received": queue.received,
                "deleted": queue.deleted,
            }
        return {
            "operations": dict(self.operations),
            "statuses": dict(self.statuses),
            "struck": dict(self.struck),
            "served": dict(self.served),
            "busy": self.busy,
            "busy_most": self.busy_most,
            "connections": len(self.connections),
            "opened": self.opened,
            "queues": queues,
            "topics": {arn: topic.published for arn, topic in self.events.topics.items()},
            "uploads": {
                name: [upload.key for upload in bucket.uploads.values()]
                for name, bucket in self.s3.buckets.items()
            },
            "log": list(self.log),
        }

    async def serve(self, port=0, told=print):
        self.loop = asyncio.get_running_loop()
        listener = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        told(self.port)
        return listener
