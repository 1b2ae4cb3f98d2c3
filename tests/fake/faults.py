"""What goes wrong, and when: a list of rules, each of which counts the requests that it means.

    {"operation": "GetObject", "key": "vil/", "nth": 2, "times": 3, "fault": {"kind": "reset-body"}}

service, operation  exact names ("s3", "GetObject"); absent: any
bucket, key         exact, and a regular expression found anywhere in the key
agent               words of the User-Agent: "sevird" spares what the test itself asks
nth, times          fires from the nth such request on (1 is the first; default 1), so many times
                    (default 1; -1: for ever)

Kinds, `error` and the next four instead of carrying it out, the others after it was:

error         an answer with `code`, `status`, `message`, `headers`; `html`: a proxy's page;
              `skew_s`: its Date is off by that
reset         the connection is reset before anything was done
reset-upload  the same, half of the body in
silent        no answer, ever; the connection stays
redirect      `status` 301, 307 or 400, as for a bucket of `region`
error-after   as error, but it was done
error-200     it was done, and is answered by 200 and an <Error> of `code` in the body
reset-after   no byte of the answer
reset-body    half of the answer's body, then a reset; truncate: then an orderly end;
              stall: then nothing more
slow          `bytes` of the body at a time, `delay_s` between them
short, long   an answer of `bytes` less or more than it should have, its length in agreement
flip          one bit in the middle of the body is another
etag          the ETag is another object's
unconditional a put is done whatever its If-Match and If-None-Match say
garbage       `body` instead of what was to be answered, status 200
empty-page    of a listing: no keys, but a token
lost          of DeleteMessage*: says that it was deleted, and it was not
partial       of a batch: the last entry Failed, the service's own fault (`code`, `sender` false)
stale         of DeleteMessage*, ChangeMessageVisibility*: each handle is refused
expire        of ReceiveMessage: what it gives is visible to others at once
"""

import re

INSTEAD = {"error", "reset", "redirect"}
ON_WIRE = {
    "silent", "reset-after", "reset-body", "truncate", "stall", "slow", "short", "long",
}  # fmt: skip
STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "RequestTimeout": 400,
    "ExpiredToken": 400,
    "InvalidToken": 400,
    "RequestTimeTooSkewed": 403,
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "ConditionalRequestConflict": 409,
    "PreconditionFailed": 412,
    "NoSuchKey": 404,
    "NoSuchBucket": 404,
    "ThrottlingException": 400,
    "RequestThrottled": 400,
    "QueueDoesNotExist": 400,
}


class Fault:
    def __init__(self, told):
        self.kind = told["kind"]
        self.code = told.get("code", "InternalError")
        self.status = told.get("status") or STATUS.get(self.code, 500)
        self.message = told.get("message", "as the script says")
        self.headers = told.get("headers", {})
        self.region = told.get("region", "eu-west-1")
        self.skew_s = told.get("skew_s", 0)
        self.html = told.get("html", False)
        self.body = told.get("body", "<html>not what you asked")
        self.bytes = told.get("bytes", 1)
        self.delay_s = told.get("delay_s", 0.05)
        self.sender = told.get("sender", False)
        self.on_wire = self.kind in ON_WIRE
        self.instead = self.kind in INSTEAD


class Rule:
    def __init__(self, told):
        known = {"service", "operation", "bucket", "key", "agent", "nth", "times", "fault"}
        assert set(told) <= known, f"unknown in a rule: {set(told) - known}"
        self.told = told
        self.service, self.operation = told.get("service"), told.get("operation")
        self.bucket = told.get("bucket")
        self.key = re.compile(told["key"]) if "key" in told else None
        self.agent = told.get("agent", "")
        self.nth, self.times = told.get("nth", 1), told.get("times", 1)
        self.fault = Fault(told["fault"])
        self.seen = self.fired = 0

    def fires(self, request):
        if (
            self.service not in (None, request.service)
            or self.operation not in (None, request.operation)
            or self.bucket not in (None, request.bucket)
            or self.agent not in request.headers.get("user-agent", "")
            or (self.key and not self.key.search(request.key))
        ):
            return False
        self.seen += 1
        if self.seen < self.nth or 0 <= self.times <= self.fired:
            return False
        self.fired += 1
        return True


class Script:
    def __init__(self, rules=()):
        self.rules = [Rule(told) for told in rules]

    def fault(self, request):
        """Of the first rule that fires; later ones do not count that request."""
        return next((rule.fault for rule in self.rules if rule.fires(request)), None)

    def told(self):
        return [{**rule.told, "seen": rule.seen, "fired": rule.fired} for rule in self.rules]
