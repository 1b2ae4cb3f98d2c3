"""/_fake/NAME: what tests say to the fake, and ask of it. JSON in, JSON out.

reset     keys {id: secret}, verify (true)             empty, no faults, nothing counted
faults    [rule...]                                    instead of those before
told      (nothing)                                    the rules, with how often each saw and fired
object    bucket, key, path, etag                      a file, sparse or not, is that object
objects   bucket, prefix, count, size                  so many alike, of which nobody hears
texts     bucket, key, text, count                     so many, {n} in key and text being 0, 1, ...;
                                                       put as by a client
digests   bucket                                       {key: SHA-256}
clock     skew_s, agent; advance_s                     Date, and what is held against a request's (of
                                                       that User-Agent); so much later it is for
                                                       leases and keys
region    bucket, region, redirect                     the bucket is there; 301, 307 or 400 to others
expire    key                                          that key is expired from now on
public    bucket                                       anyone may
seal      bucket                                       nobody may name a version in it
place     part_min                                     smallest part of a multipart upload
athena    a statement; queries (nothing)               athena.py
hold, release   duplicate, shuffle, seed               of notifications: events.py
shuffle   queue, seed                                  any visible message may come first
glue      looks, crawls, runs, most                    glue.py; what is not told stays. Gives its stats
stats     (nothing)                                    what it was asked, and how it stands
wait      timeout_s, and one of: queue, empty; operation, count; struck (how often each rule); published, count
"""

import asyncio
import hashlib
import json

from .faults import Script
from .s3 import Version
from .sign import Key
from .wire import Answer, FileSlice, whole


class Admin:
    def __init__(self, server):
        self.server = server

    def answer(self, request):
        told = json.loads(request.body) if request.body else {}
        try:
            done = getattr(self, request.path.rpartition("/")[2])(told)
        except Exception as error:  # a test's mistake: it shall read of it
            return Answer(400, f"{type(error).__name__}: {error}".encode())
        return self.later(done) if asyncio.iscoroutine(done) else self.wrap(done)

    @staticmethod
    def wrap(done):
        return Answer(200, json.dumps(done).encode(), {"content-type": "application/json"})

    async def later(self, done):
        return self.wrap(await done)

    def reset(self, told):
        self.server.reset(told.get("keys", {}), told.get("verify", True))

    def faults(self, told):
        self.server.script = Script(told)

    def told(self, _):
        return self.server.script.told()

    def athena(self, told):
        self.server.athena.statements.append(told)

    def queries(self, _):
        return list(self.server.athena.queries.values())

    def object(self, told):
        bucket = self.server.s3.buckets[told["bucket"]]
        body = FileSlice(told["path"])
        headers = {"content-type": "binary/octet-stream"}
        self.server.s3.keep(bucket, told["key"], body, told["etag"], headers, {}, "Put")

    def objects(self, told):
        bucket, headers = self.server.s3.buckets[told["bucket"]], {"content-type": "text/plain"}
        body = b"x" * told.get("size", 1)
        for n in range(told["count"]):
            version = Version(body, f"{n:032x}", None, headers, {}, f"{n:018X}")
            bucket.objects[f"{told.get('prefix', '')}{n:08d}"] = [version]
        bucket.is_sorted = False

    def texts(self, told):
        bucket, headers = self.server.s3.buckets[told["bucket"]], {"content-type": "text/csv"}
        for n in range(told["count"]):
            body = told["text"].format(n=n).encode()
            etag = hashlib.md5(body).hexdigest()
            self.server.s3.keep(bucket, told["key"].format(n=n), body, etag, headers, {}, "Put")

    def digests(self, told):
        bucket = self.server.s3.buckets[told["bucket"]]
        return {
            key: hashlib.sha256(whole(bucket.current(key).body)).hexdigest() for key in bucket.keys()
        }

    def clock(self, told):
        self.server.skew_s = told.get("skew_s", self.server.skew_s)
        self.server.skew_agent = told.get("agent", "")
        self.server.ahead_s += told.get("advance_s", 0)
        for queue in self.server.sqs.queues.values():
            queue.on_end()

    def region(self, told):
        bucket = self.server.s3.buckets[told["bucket"]]
        bucket.region, bucket.redirect = told["region"], told["redirect"]

    def expire(self, told):
        self.server.keys[told["key"]].expires_s = 0

    def public(self, told):
        self.server.s3.buckets[told["bucket"]].public = True

    def seal(self, told):
        self.server.s3.buckets[told["bucket"]].sealed = True

    def place(self, told):
        self.server.s3.part_min = told["part_min"]

    def hold(self, _):
        self.server.events.hold()

    def release(self, told):
        return self.server.events.release(**told)

    def shuffle(self, told):
        self.server.sqs.shuffle(told["queue"], told.get("seed", 1))

    def glue(self, told):
        self.server.glue.script(told)
        return self.server.glue.stats()

    def stats(self, _):
        return self.server.stats()

    async def wait(self, told):
        """True once it is so; false when it took too long."""
        loop = self.server.loop
        end = loop.time() + told.get("timeout_s", 60)
        while not self.is_so(told):
            left = end - loop.time()
            if left <= 0:
                return False
            await self.server.change(min(left, 0.1))
        return True

    def is_so(self, told):
        if "queue" in told:
            queue = self.server.sqs.queues[told["queue"]]
            return not queue.messages if told.get("empty", True) else bool(queue.messages)
        if "struck" in told:
            return all(rule.fired >= int(told["struck"]) for rule in self.server.script.rules)
        if "published" in told:
            return len(self.server.events.topics[told["published"]].published) >= told["count"]
        return self.server.operations.get(told["operation"], 0) >= told["count"]
