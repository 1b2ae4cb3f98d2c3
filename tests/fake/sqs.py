"""SQS by its JSON protocol: leases that end, handles that go stale, dead letters, long polls."""

import asyncio
import hashlib
import heapq
import json
import random
import secrets
import uuid
from collections import deque

from .sign import Refused
from .wire import Answer

VISIBILITY_MAX_S = 43200
FLIGHT_MAX = 120000
QUERY_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}
BATCH = ("EmptyBatchRequest", "TooManyEntriesInBatchRequest", "BatchEntryIdsNotDistinct")


def refuse(code, message="", status=400):
    raise Refused(code, status, message or code)


class Message:
    __slots__ = (
        "id", "body", "sent_s", "first_s", "received_s", "receives", "visible_at", "handle", "where", "order",
    )  # fmt: skip

    def __init__(self, body, now_s, order):
        self.id, self.body, self.sent_s, self.order = str(uuid.uuid4()), body, now_s, order
        self.first_s = self.received_s = 0
        self.receives = 0
        self.visible_at = 0.0
        self.handle = ""
        self.where = "ready"  # "flight", "gone"


class Queue:
    def __init__(self, server, name, attributes):
        self.server, self.name = server, name
        self.arn = f"arn:aws:sqs:us-east-1:{server.account}:{name}"
        self.attributes = {"VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", **attributes}
        self.ready = deque()
        self.messages = {}
        self.in_flight = 0
        self.ends = []  # heap of (visible_at, order, message)
        self.waiters = []
        self.timer = None
        self.order = 0
        self.deleted = self.sent = self.received = 0
        self.shuffle = None  # random.Random: any visible message may come first

    # -- what is where ---------------------------------------------------------------------------

    def settle(self):
        """Leases that have ended make their messages visible."""
        now = self.server.now()
        while self.ends and self.ends[0][0] <= now:
            at, _, message = heapq.heappop(self.ends)
            if message.where == "flight" and message.visible_at <= at:
                message.where = "ready"
                self.in_flight -= 1
                self.ready.append(message)

    def wake(self):
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.server.changed()

    def add(self, body):
        self.order += 1
        self.sent += 1
        message = Message(body, self.server.now(), self.order)
        self.messages[message.id] = message
        self.ready.append(message)
        self.wake()
        return message

    def counts(self):
        self.settle()
        return len(self.messages) - self.in_flight, self.in_flight

    def next_ready(self):
        while self.ready:
            if self.shuffle and len(self.ready) > 1:
                self.ready.rotate(-self.shuffle.randrange(len(self.ready)))
            message = self.ready.popleft()
            if message.where == "ready":
                return message
        return None

    def take(self, most, visibility_s, expire):
        self.settle()
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        limit, now, found = int(policy.get("maxReceiveCount", 0)), self.server.now(), []
        while len(found) < most and self.in_flight < FLIGHT_MAX:
            message = self.next_ready()
            if message is None:
                break
            if limit and message.receives >= limit:
                self.bury(message, policy["deadLetterTargetArn"])
                continue
            message.receives += 1
            message.first_s = message.first_s or now
            message.received_s = now
            message.handle = secrets.token_urlsafe(48) + "." + message.id
            message.where = "flight"
            self.in_flight += 1
            self.received += 1
            self.lease(message, now + (0 if expire else visibility_s))
            found.append((message, message.handle, message.receives))
        return found

    def bury(self, message, arn):
        del self.messages[message.id]
        message.where = "gone"
        self.server.sqs.by_arn(arn).add(message.body)

    def lease(self, message, until):
        message.visible_at = until
        heapq.heappush(self.ends, (until, self.order, message))
        self.order += 1
        self.arm()

    def arm(self):
        """Somebody may be waiting for a lease to end."""
        if self.timer:
            self.timer.cancel()
        if self.ends:
            delay = max(0.0, self.ends[0][0] - self.server.now()) + 0.001
            self.timer = self.server.loop.call_later(delay, self.on_end)

    def on_end(self):
        self.timer = None
        self.settle()
        if self.ready:
            self.wake()
        self.arm()

    def by_handle(self, handle):
        """(message, whether the handle is that of its newest receive)"""
        message = self.messages.get(handle.rpartition(".")[2])
        return message, bool(message) and message.handle == handle

    # -- on one handle ---------------------------------------------------------------------------

    def delete(self, handle, fault=None):
        self.settle()
        message, newest = self.by_handle(handle)
        if fault and fault.kind == "stale" or (message and not newest):
            refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        if not message:
            if "." not in handle:
                refuse("ReceiptHandleIsInvalid", f'The input receipt handle "{handle}" is not valid.')
            return  # deleted before: no error
        if fault and fault.kind == "lost":
            return
        if message.where == "flight":
            self.in_flight -= 1
        message.where = "gone"
        del self.messages[message.id]
        self.deleted += 1
        self.server.changed()

    def change(self, handle, visibility_s, fault=None):
        self.settle()
        message, newest = self.by_handle(handle)
        if not 0 <= visibility_s <= VISIBILITY_MAX_S:
            refuse("InvalidParameterValue", "Value for parameter VisibilityTimeout is invalid.")
        if fault and fault.kind == "stale" or not message or not newest:
            refuse("InvalidParameterValue", f"Value {handle} for parameter ReceiptHandle is invalid. "
                   "Reason: Message does not exist or is not available for visibility timeout change.")  # fmt: skip
        if message.where != "flight":
            refuse("MessageNotInflight", "The message referred to is not in flight.")
        now = self.server.now()
        if now + visibility_s - message.received_s > VISIBILITY_MAX_S:
            refuse("InvalidParameterValue", f"Value {visibility_s} for parameter VisibilityTimeout is "
                   "invalid. Reason: Total VisibilityTimeout for the message is beyond the limit "
                   "[43200 seconds].")  # fmt: skip
        if visibility_s == 0:
            message.where, self.in_flight = "ready", self.in_flight - 1
            self.ready.append(message)
            self.wake()
        else:
            self.lease(message, now + visibility_s)


class SQS:
    def __init__(self, server):
        self.server = server
        self.queues = {}

    def by_arn(self, arn):
        return self.queues.get(arn.rpartition(":")[2]) or refuse("QueueDoesNotExist")

    def queue(self, told):
        name = told.get("QueueUrl", "").rstrip("/").rpartition("/")[2]
        found = self.queues.get(name)
        if not found:
            refuse("QueueDoesNotExist", "The specified queue does not exist.")
        return found

    @staticmethod
    def error(request, refused):
        query = QUERY_CODES.get(refused.code, refused.code)
        body = {"__type": f"com.amazonaws.sqs#{refused.code}", "message": refused.message}
        side = "Sender" if refused.status < 500 else "Receiver"
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amzn-requestid": f"fake-{id(request):x}",
            "x-amzn-query-error": f"{query};{side}",
            **refused.extra.get("headers", {}),
        }
        return Answer(refused.status, json.dumps(body).encode(), headers)

    def answer(self, request):
        if self.server.verify and not request.caller:
            refuse("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        try:
            told = json.loads(request.body or b"{}")
        except ValueError:
            refuse("SerializationException", "no JSON")
        done = getattr(self, request.operation, None) or refuse("InvalidAction", request.operation)
        done = done(request, told)
        return self.wrap_later(done) if asyncio.iscoroutine(done) else self.wrap(done)

    @staticmethod
    def wrap(done):
        headers = {"content-type": "application/x-amz-json-1.0"}
        return Answer(200, json.dumps(done or {}).encode(), headers)

    async def wrap_later(self, done):
        return self.wrap(await done)

    # -- queues ----------------------------------------------------------------------------------

    def url(self, request, name):
        return f"http://{request.host}/{self.server.account}/{name}"

    def CreateQueue(self, request, told):
        name = told["QueueName"]
        if name not in self.queues:
            self.queues[name] = Queue(self.server, name, told.get("Attributes", {}))
        return {"QueueUrl": self.url(request, name)}

    def GetQueueUrl(self, request, told):
        name = told["QueueName"]
        if name not in self.queues:
            refuse("QueueDoesNotExist", "The specified queue does not exist.")
        return {"QueueUrl": self.url(request, name)}

    def ListQueues(self, request, told):
        prefix = told.get("QueueNamePrefix", "")
        return {"QueueUrls": [self.url(request, n) for n in self.queues if n.startswith(prefix)]}

    def DeleteQueue(self, _, told):
        del self.queues[self.queue(told).name]

    def PurgeQueue(self, _, told):
        queue = self.queue(told)
        for message in queue.messages.values():
            message.where = "gone"
        queue.messages.clear()
        queue.ready.clear()
        queue.in_flight = 0

    def SetQueueAttributes(self, _, told):
        self.queue(told).attributes.update(told["Attributes"])

    def GetQueueAttributes(self, _, told):
        queue = self.queue(told)
        visible, in_flight = queue.counts()
        found = {
            **queue.attributes,
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        names = told.get("AttributeNames", [])
        return {"Attributes": {n: v for n, v in found.items() if "All" in names or n in names}}

    # -- messages --------------------------------------------------------------------------------

    @staticmethod
    def sent(queue, body):
        if not body:
            refuse("InvalidParameterValue", "The request must contain the parameter MessageBody.")
        message = queue.add(body)
        return {"MessageId": message.id, "MD5OfMessageBody": hashlib.md5(body.encode()).hexdigest()}

    def SendMessage(self, _, told):
        return self.sent(self.queue(told), told.get("MessageBody"))

    def SendMessageBatch(self, request, told):
        queue = self.queue(told)
        return self.batch(request, told, lambda entry: self.sent(queue, entry.get("MessageBody")))

    async def ReceiveMessage(self, request, told):
        queue = self.queue(told)
        most, wait_s = told.get("MaxNumberOfMessages", 1), told.get("WaitTimeSeconds", 0)
        visibility_s = told.get("VisibilityTimeout")
        if visibility_s is None:
            visibility_s = int(queue.attributes["VisibilityTimeout"])
        if not 1 <= most <= 10 or not 0 <= wait_s <= 20 or not 0 <= visibility_s <= VISIBILITY_MAX_S:
            refuse("InvalidParameterValue", "Value for a parameter of ReceiveMessage is out of range.")
        loop = self.server.loop
        end = loop.time() + wait_s
        expire = bool(request.fault) and request.fault.kind == "expire"
        found = queue.take(most, visibility_s, expire)
        while not found and loop.time() < end:
            waiter = loop.create_future()
            queue.waiters.append(waiter)
            queue.arm()
            try:
                await asyncio.wait_for(waiter, end - loop.time())
            except asyncio.TimeoutError:
                pass
            found = queue.take(most, visibility_s, expire)
        if not found:
            return {}
        names = told.get("MessageSystemAttributeNames") or told.get("AttributeNames") or []
        return {"Messages": [self.shown(*entry, names) for entry in found]}

    def shown(self, message, handle, receives, names):
        known = {
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(int(message.sent_s * 1000)),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_s * 1000)),
            "SenderId": "AIDAFAKE",
        }
        shown = {
            "MessageId": message.id,
            "ReceiptHandle": handle,
            "MD5OfBody": hashlib.md5(message.body.encode()).hexdigest(),
            "Body": message.body,
        }
        asked = {n: v for n, v in known.items() if n in names or "All" in names}
        return {**shown, "Attributes": asked} if asked else shown

    @staticmethod
    def batch(request, told, do):
        entries = told.get("Entries") or []
        ids = [entry["Id"] for entry in entries]
        wrong = (not entries, len(entries) > 10, len(set(ids)) != len(ids))
        for code, is_so in zip(BATCH, wrong):
            if is_so:
                refuse(code, code)
        good, bad, fault = [], [], request.fault
        for entry in entries:
            try:
                if fault and fault.kind == "partial" and entry is entries[-1]:
                    told = {"Code": fault.code, "Message": fault.message, "SenderFault": fault.sender}
                    bad.append({"Id": entry["Id"], **told})
                    continue
                good.append({"Id": entry["Id"], **(do(entry) or {})})
            except Refused as refused:
                told = {"Code": refused.code, "Message": refused.message, "SenderFault": True}
                bad.append({"Id": entry["Id"], **told})
        return {"Successful": good, "Failed": bad} if bad else {"Successful": good}

    def DeleteMessage(self, request, told):
        self.queue(told).delete(told["ReceiptHandle"], request.fault)

    def DeleteMessageBatch(self, request, told):
        queue = self.queue(told)
        return self.batch(request, told, lambda e: queue.delete(e["ReceiptHandle"], request.fault))

    def ChangeMessageVisibility(self, request, told):
        queue = self.queue(told)
        queue.change(told["ReceiptHandle"], told["VisibilityTimeout"], request.fault)

    def ChangeMessageVisibilityBatch(self, request, told):
        queue = self.queue(told)
        return self.batch(
            request,
            told,
            lambda e: queue.change(e["ReceiptHandle"], e.get("VisibilityTimeout", 0), request.fault),
        )

    def shuffle(self, name, seed):
        self.queues[name].shuffle = random.Random(seed)
