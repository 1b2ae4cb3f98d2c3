"""S3 as AWS answers: objects, versions, conditions, parts, listings, and who is told of them."""

import base64
import bisect
import hashlib
import secrets
import time
import xml.etree.ElementTree as ET
from datetime import datetime, timezone
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import parse_qs, quote, quote_plus, unquote
from xml.sax.saxutils import escape

from .checksums import checked
from .sign import Refused
from .wire import Answer, FileSlice, cut, whole

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
COPY_MAX = 5 << 30
PAGE = 1000
KEPT = ("content-type", "content-encoding", "content-disposition", "cache-control")
CONTROL = {code: f"&#x{code:x};" for code in range(32) if code not in (9, 10, 13)}


def iso(time_s):
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def text(value):
    return escape(value).translate(CONTROL).replace("\r", "&#13;")


def xml(body):
    return Answer(200, (DECLARATION + body).encode("utf-8"), {"content-type": "application/xml"})


def refuse(code, status, message="", **extra):
    raise Refused(code, status, message or code, **extra)


# ---- what is stored


class Version:
    __slots__ = ("body", "etag", "id", "modified_s", "headers", "checksums", "marker", "sequencer")

    def __init__(self, body, etag, version_id, headers, checksums, sequencer, marker=False):
        self.body, self.etag, self.id, self.headers = body, etag, version_id, headers
        self.checksums, self.sequencer, self.marker = checksums, sequencer, marker
        self.modified_s = int(time.time())


class Upload:
    def __init__(self, key, headers, algorithm):
        self.id, self.key, self.headers = secrets.token_urlsafe(48), key, headers
        self.algorithm = algorithm  # "crc32c"; "" for none
        self.parts = {}  # number: (etag, body, checksum)
        self.begun_s = int(time.time())


class Bucket:
    def __init__(self, name, region):
        self.name, self.region, self.redirect = name, region, 400
        self.made_s = int(time.time())
        self.versioned = self.public = self.sealed = False
        self.objects = {}  # key: its versions, the newest last
        self.sorted, self.is_sorted = [], True
        self.uploads = {}
        self.targets = []  # (kind, arn, events)
        self.config = b""

    def current(self, key):
        versions = self.objects.get(key)
        return versions[-1] if versions and not versions[-1].marker else None

    def keys(self):
        """All with a current version, in the order of their UTF-8."""
        if not self.is_sorted:
            self.sorted = sorted(
                (key for key in self.objects if self.current(key)), key=lambda key: key.encode()
            )
            self.is_sorted = True
        return self.sorted

    def store(self, key, version):
        if key not in self.objects or not self.current(key):
            self.is_sorted = False
        versions = self.objects.setdefault(key, [])
        if self.versioned:
            versions.append(version)
        else:
            versions[:] = [version]

    def remove(self, key):
        if self.objects.pop(key, None):
            self.is_sorted = False


class S3:
    def __init__(self, server):
        self.server = server
        self.buckets = {}
        self.part_min = 5 << 20
        self.sequence = time.time_ns()

    # -- which operation is it -------------------------------------------------------------------

    def name(self, request):
        """Sets bucket, key and operation."""
        path = unquote(request.path)
        host = request.host.partition(":")[0]
        label, dot, rest = host.partition(".")
        if dot and rest in ("localhost", "s3.localhost") or rest.startswith("s3."):
            request.bucket, request.key = label, path[1:]
        else:
            request.bucket, _, request.key = path[1:].partition("/")
        query, method = request.query, request.method
        if not request.bucket:
            request.operation = "ListBuckets"
        elif request.key:
            request.operation = self.name_object(method, query, request.headers)
        else:
            request.operation = self.name_bucket(method, query)

    @staticmethod
    def name_object(method, query, headers):
        copy = "x-amz-copy-source" in headers
        if method == "PUT":
            if "partNumber" in query:
                return "UploadPartCopy" if copy else "UploadPart"
            return "CopyObject" if copy else "PutObject"
        if method == "POST":
            return "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
        if method == "DELETE":
            return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
        if method == "HEAD":
            return "HeadObject"
        return "ListParts" if "uploadId" in query else "GetObject"

    @staticmethod
    def name_bucket(method, query):
        if method == "GET":
            for sub, operation in (
                ("location", "GetBucketLocation"),
                ("versioning", "GetBucketVersioning"),
                ("notification", "GetBucketNotificationConfiguration"),
                ("uploads", "ListMultipartUploads"),
                ("versions", "ListObjectVersions"),
            ):
                if sub in query:
                    return operation
            return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
        if method == "PUT":
            if "versioning" in query:
                return "PutBucketVersioning"
            return "PutBucketNotificationConfiguration" if "notification" in query else "CreateBucket"
        return {"POST": "DeleteObjects", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}[method]

    # -- answers ---------------------------------------------------------------------------------

    def answer(self, request):
        operation = getattr(self, request.operation)
        if request.operation in ("ListBuckets", "CreateBucket"):
            self.need_caller(request)
            return operation(request)
        bucket = self.buckets.get(request.bucket)
        if bucket is None:
            refuse("NoSuchBucket", 404, "The specified bucket does not exist")
        if not bucket.public:
            self.need_caller(request)
        if request.region and request.region != bucket.region:
            raise self.elsewhere(request, bucket.redirect, bucket.region)
        return operation(request, bucket)

    def need_caller(self, request):
        if self.server.verify and not request.caller:
            refuse("AccessDenied", 403, "Access Denied")

    def elsewhere(self, request, status, region):
        """As AWS sends one to a bucket's region, in each of its three ways."""
        headers = {"x-amz-bucket-region": region}
        if status == 307:
            headers["location"] = f"http://{self.server.other_host}{request.target}"
            return Refused("TemporaryRedirect", 307, "Please re-send this request to the specified "
                           "temporary endpoint.", headers=headers)  # fmt: skip
        if status == 301:
            return Refused("PermanentRedirect", 301, "The bucket you are attempting to access must be "
                           "addressed using the specified endpoint.", headers=headers)  # fmt: skip
        return Refused("AuthorizationHeaderMalformed", 400, "The authorization header is malformed; the "
                       f"region '{request.region}' is wrong; expecting '{region}'",
                       headers=headers, xml={"Region": region})  # fmt: skip

    @staticmethod
    def error(request, refused):
        """The error document; a HEAD has none."""
        headers = {"content-type": "application/xml", **refused.extra.get("headers", {})}
        extra = {"Resource": unquote(request.path), **refused.extra.get("xml", {})}
        extra = "".join(f"<{name}>{text(value)}</{name}>" for name, value in extra.items())
        body = (
            f"{DECLARATION}<Error><Code>{refused.code}</Code><Message>{text(refused.message)}</Message>"
            f"{extra}<RequestId>FAKE{id(request):012X}</RequestId><HostId>host</HostId></Error>"
        )
        return Answer(refused.status, body.encode("utf-8"), headers)

    # -- buckets ---------------------------------------------------------------------------------

    def ListBuckets(self, _):
        found = "".join(
            f"<Bucket><Name>{b.name}</Name><CreationDate>{iso(b.made_s)}</CreationDate></Bucket>"
            for b in self.buckets.values()
        )
        return xml(f"<ListAllMyBucketsResult {XMLNS}><Buckets>{found}</Buckets></ListAllMyBucketsResult>")

    def CreateBucket(self, request):
        region = "us-east-1"
        if request.body:
            for node in ET.fromstring(request.body).iter():
                region = node.text if node.tag.endswith("LocationConstraint") else region
        if request.bucket in self.buckets:
            refuse("BucketAlreadyOwnedByYou", 409)
        self.buckets[request.bucket] = Bucket(request.bucket, region)
        return Answer(200, b"", {"location": "/" + request.bucket})

    def DeleteBucket(self, request, bucket):
        if bucket.objects:
            refuse("BucketNotEmpty", 409)
        del self.buckets[request.bucket]
        return Answer(204)

    def HeadBucket(self, _, bucket):
        return Answer(200, b"", {"x-amz-bucket-region": bucket.region})

    def GetBucketLocation(self, _, bucket):
        where = "" if bucket.region == "us-east-1" else bucket.region
        return xml(f"<LocationConstraint {XMLNS}>{where}</LocationConstraint>")

    def PutBucketVersioning(self, request, bucket):
        bucket.versioned = b"<Status>Enabled</Status>" in request.body
        return Answer(200)

    def GetBucketVersioning(self, _, bucket):
        status = "<Status>Enabled</Status>" if bucket.versioned else ""
        return xml(f"<VersioningConfiguration {XMLNS}>{status}</VersioningConfiguration>")

    def PutBucketNotificationConfiguration(self, request, bucket):
        bucket.config, bucket.targets = request.body, []
        for node in ET.fromstring(request.body) if request.body else ():
            kind = node.tag.rpartition("}")[2]
            if kind == "EventBridgeConfiguration":
                bucket.targets.append(("events", "", ["*"]))
                continue
            told = {"Event": []}
            for child in node:
                tag = child.tag.rpartition("}")[2]
                if tag == "Event":
                    told["Event"].append(child.text)
                else:
                    told[tag] = child.text
            service = "sqs" if kind == "QueueConfiguration" else "sns"
            arn = told.get("Queue") or told.get("Topic")
            bucket.targets.append((service, arn, told["Event"]))
            self.server.events.test(bucket, service, arn)
        return Answer(200)

    def GetBucketNotificationConfiguration(self, _, bucket):
        return Answer(200, bucket.config or f"<NotificationConfiguration {XMLNS}/>".encode())

    # -- listings --------------------------------------------------------------------------------

    def page(self, bucket, prefix, after, delimiter, most):
        """(objects, common prefixes, truncated, last name)"""
        keys = bucket.keys()
        start = max(after, prefix.encode())
        at = bisect.bisect_left(keys, start, key=lambda key: key.encode())
        objects, commons, last = [], [], ""
        while at < len(keys) and keys[at].startswith(prefix):
            key = keys[at]
            at += 1
            if key.encode() <= after:
                continue
            cut_at = key.find(delimiter, len(prefix)) if delimiter else -1
            common = key[: cut_at + len(delimiter)] if cut_at >= 0 else None
            if common is not None and (common.encode() <= after or commons[-1:] == [common]):
                continue
            if len(objects) + len(commons) == most:
                return objects, commons, True, last
            last = common or key
            (commons if common else objects).append(last)
        return objects, commons, False, last

    def contents(self, bucket, keys, enc):
        found = []
        for key in keys:
            v = bucket.current(key)
            found.append(
                f"<Contents><Key>{enc(key)}</Key><LastModified>{iso(v.modified_s)}</LastModified>"
                f"<ETag>&quot;{v.etag}&quot;</ETag><Size>{len(v.body)}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        return "".join(found)

    def ListObjectsV2(self, request, bucket):
        query = request.query
        token, most = query.get("continuation-token"), self.most(query.get("max-keys"))
        after = query.get("start-after", "").encode()
        if token is not None:
            try:
                after = base64.urlsafe_b64decode(token[6:].encode())
            except ValueError:
                refuse("InvalidArgument", 400, "The continuation token provided is incorrect")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        fault = request.fault and request.fault.kind == "empty-page"
        if fault:
            objects, commons, truncated, last = [], [], True, ""
            following = after
        else:
            objects, commons, truncated, last = self.page(bucket, prefix, after, delimiter, most)
            following = last.encode() + (b"\xff\xff\xff\xff" if last in commons else b"")
        enc, by_url = self.encoding(query)
        next_token = "token." + base64.urlsafe_b64encode(following).decode()
        return xml(
            f"<ListBucketResult {XMLNS}><Name>{bucket.name}</Name><Prefix>{enc(prefix)}</Prefix>"
            + (f"<ContinuationToken>{text(token)}</ContinuationToken>" if token is not None else "")
            + (f"<NextContinuationToken>{next_token}</NextContinuationToken>" if truncated else "")
            + f"<KeyCount>{len(objects) + len(commons)}</KeyCount><MaxKeys>{most}</MaxKeys>{by_url}"
            + f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
            + self.contents(bucket, objects, enc)
            + self.common(commons, enc)
            + "</ListBucketResult>"
        )

    def ListObjects(self, request, bucket):
        query = request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = self.most(query.get("max-keys"))
        after = query.get("marker", "").encode()
        objects, commons, truncated, last = self.page(bucket, prefix, after, delimiter, most)
        enc, by_url = self.encoding(query)
        return xml(
            f"<ListBucketResult {XMLNS}><Name>{bucket.name}</Name><Prefix>{enc(prefix)}</Prefix>"
            f"<MaxKeys>{most}</MaxKeys>{by_url}<IsTruncated>{str(truncated).lower()}</IsTruncated>"
            + (f"<NextMarker>{enc(last)}</NextMarker>" if truncated and delimiter else "")
            + self.contents(bucket, objects, enc)
            + self.common(commons, enc)
            + "</ListBucketResult>"
        )

    def ListObjectVersions(self, request, bucket):
        prefix, found = request.query.get("prefix", ""), []
        for key in sorted(bucket.objects, key=lambda key: key.encode()):
            for v in reversed(bucket.objects[key]) if key.startswith(prefix) else ():
                kind = "DeleteMarker" if v.marker else "Version"
                latest = str(v is bucket.objects[key][-1]).lower()
                found.append(
                    f"<{kind}><Key>{text(key)}</Key><VersionId>{v.id or 'null'}</VersionId>"
                    f"<IsLatest>{latest}</IsLatest><LastModified>{iso(v.modified_s)}</LastModified>"
                    f"<ETag>&quot;{v.etag}&quot;</ETag><Size>{len(v.body)}</Size></{kind}>"
                )
        return xml(
            f"<ListVersionsResult {XMLNS}><Name>{bucket.name}</Name><IsTruncated>false</IsTruncated>"
            + "".join(found)
            + "</ListVersionsResult>"
        )

    @staticmethod
    def most(told):
        return min(PAGE, int(told)) if told else PAGE

    @staticmethod
    def encoding(query):
        if query.get("encoding-type") == "url":
            return lambda key: quote_plus(key, safe="/*"), "<EncodingType>url</EncodingType>"
        return text, ""

    @staticmethod
    def common(commons, enc):
        return "".join(
            f"<CommonPrefixes><Prefix>{enc(common)}</Prefix></CommonPrefixes>" for common in commons
        )

    # -- reading ---------------------------------------------------------------------------------

    def find(self, request, bucket, key=None, version_id=None):
        key = request.key if key is None else key
        version_id = version_id or request.query.get("versionId")
        if not version_id:
            found = bucket.current(key)
            if not found:
                marker = bucket.objects.get(key)
                headers = {"x-amz-delete-marker": "true"} if marker else {}
                refuse("NoSuchKey", 404, "The specified key does not exist.", headers=headers)
            return found
        if bucket.sealed:
            refuse("AccessDenied", 403, "Access Denied")
        for found in bucket.objects.get(key, ()):
            if (found.id or "null") == version_id:
                if found.marker:
                    refuse("MethodNotAllowed", 405)
                return found
        refuse("NoSuchVersion", 404, "The specified version does not exist.")

    @staticmethod
    def conditions(headers, found, prefix=""):
        """Whether the answer is 304; raises 412."""
        match, none = headers.get(prefix + "if-match"), headers.get(prefix + "if-none-match")
        if match and match != "*" and found.etag not in [e.strip(' "') for e in match.split(",")]:
            refuse("PreconditionFailed", 412, "At least one of the pre-conditions you specified did "
                   "not hold", xml={"Condition": "If-Match"})  # fmt: skip
        unchanged = headers.get(prefix + "if-unmodified-since")
        if unchanged and not match:
            if found.modified_s > parsedate_to_datetime(unchanged).timestamp():
                refuse("PreconditionFailed", 412)
        return bool(none) and found.etag in [e.strip(' "') for e in none.split(",")]

    def described(self, request, bucket, found):
        headers = {
            "etag": f'"{found.etag}"',
            "last-modified": formatdate(found.modified_s, usegmt=True),
            "accept-ranges": "bytes",
            **found.headers,
        }
        if bucket.versioned:
            headers["x-amz-version-id"] = found.id or "null"
        if request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers.update(found.checksums)
        if request.fault and request.fault.kind == "etag":
            headers["etag"] = '"00000000000000000000000000000000"'
        return headers

    def HeadObject(self, request, bucket):
        found = self.find(request, bucket)
        headers = self.described(request, bucket, found)
        if self.conditions(request.headers, found):
            return Answer(304, b"", {"etag": headers["etag"], "last-modified": headers["last-modified"]})
        return Answer(200, b"", headers, length=len(found.body))

    def GetObject(self, request, bucket):
        found = self.find(request, bucket)
        headers = self.described(request, bucket, found)
        if self.conditions(request.headers, found):
            return Answer(304, b"", {"etag": headers["etag"], "last-modified": headers["last-modified"]})
        size, asked = len(found.body), request.headers.get("range", "")
        if not asked.startswith("bytes=") or "," in asked:
            return Answer(200, found.body, headers)
        first, _, last = asked[6:].partition("-")
        if first:
            first, last = int(first), min(int(last), size - 1) if last else size - 1
        else:
            first, last = max(0, size - int(last)), size - 1
        if first >= size or first > last:
            refuse("InvalidRange", 416, "The requested range is not satisfiable",
                   headers={"content-range": f"bytes */{size}"})  # fmt: skip
        headers["content-range"] = f"bytes {first}-{last}/{size}"
        for name in found.checksums:
            headers.pop(name, None)
        return Answer(206, cut(found.body, first, last - first + 1), headers)

    # -- writing ---------------------------------------------------------------------------------

    def may_write(self, request, bucket):
        if request.fault and request.fault.kind == "unconditional":
            return
        match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
        found = bucket.current(request.key)
        if none == "*" and found:
            refuse("PreconditionFailed", 412, "At least one of the pre-conditions you specified did "
                   "not hold", xml={"Condition": "If-None-Match"})  # fmt: skip
        if match:
            if not found:
                refuse("NoSuchKey", 404, "The specified key does not exist.")
            self.conditions(request.headers, found)

    @staticmethod
    def kept(headers):
        found = {name: headers[name] for name in KEPT if headers.get(name)}
        if "aws-chunked" in found.get("content-encoding", ""):
            encodings = [e.strip() for e in found.pop("content-encoding").split(",")]
            encodings = ",".join(e for e in encodings if e != "aws-chunked")
            found.update({"content-encoding": encodings} if encodings else {})
        found.setdefault("content-type", "binary/octet-stream")
        found.update({name: v for name, v in headers.items() if name.startswith("x-amz-meta-")})
        return found

    def keep(self, bucket, key, body, etag, headers, checksums, event):
        self.sequence += 1
        version_id = secrets.token_urlsafe(24) if bucket.versioned else None
        version = Version(body, etag, version_id, headers, checksums, f"{self.sequence:018X}")
        bucket.store(key, version)
        self.server.events.created(bucket, key, version, event)
        return version

    def stored(self, bucket, version):
        headers = {"etag": f'"{version.etag}"', **version.checksums}
        if bucket.versioned:
            headers["x-amz-version-id"] = version.id
        return headers

    def PutObject(self, request, bucket):
        body, checksums = checked(request)
        self.may_write(request, bucket)
        etag = hashlib.md5(body).hexdigest()
        version = self.keep(
            bucket, request.key, body, etag, self.kept(request.headers), checksums, "Put"
        )
        return Answer(200, b"", self.stored(bucket, version))

    def DeleteObject(self, request, bucket):
        found, match = bucket.current(request.key), request.headers.get("if-match")
        if found and match and match.strip('"') != found.etag:
            refuse("PreconditionFailed", 412, "At least one of the pre-conditions you specified did "
                   "not hold", xml={"Condition": "If-Match"})  # fmt: skip
        headers = self.delete(bucket, request.key, request.query.get("versionId"))
        return Answer(204, b"", headers)

    def delete(self, bucket, key, version_id=None):
        versions, current = bucket.objects.get(key), bucket.current(key)
        self.sequence += 1
        sequencer = f"{self.sequence:018X}"
        if version_id:
            left = [v for v in versions or () if (v.id or "null") != version_id]
            if left:
                bucket.objects[key], bucket.is_sorted = left, False
            else:
                bucket.remove(key)
            self.server.events.removed(bucket, key, sequencer, "Delete", version_id)
            return {"x-amz-version-id": version_id}
        if bucket.versioned:
            marker = Version(b"", "", secrets.token_urlsafe(24), {}, {}, sequencer, marker=True)
            bucket.objects.setdefault(key, []).append(marker)
            bucket.is_sorted = False
            self.server.events.removed(bucket, key, sequencer, "DeleteMarkerCreated", marker.id)
            return {"x-amz-delete-marker": "true", "x-amz-version-id": marker.id}
        if current:
            bucket.remove(key)
            self.server.events.removed(bucket, key, sequencer, "Delete", None)
        return {}

    def DeleteObjects(self, request, bucket):
        body, checksums = checked(request)
        if not checksums and "content-md5" not in request.headers:
            refuse("InvalidRequest", 400, "Missing required header for this request: Content-Md5 OR "
                   "x-amz-checksum-*")  # fmt: skip
        found, quiet, count = [], False, 0
        for node in ET.fromstring(body):
            tag = node.tag.rpartition("}")[2]
            quiet = quiet or (tag == "Quiet" and node.text == "true")
            if tag == "Object":
                told = {child.tag.rpartition("}")[2]: child.text or "" for child in node}
                count += 1
                self.delete(bucket, told["Key"], told.get("VersionId"))
                found.append(f"<Deleted><Key>{text(told['Key'])}</Key></Deleted>")
        if count > PAGE:
            refuse("MalformedXML", 400)
        if request.fault and request.fault.kind == "partial" and found:
            fault, last = request.fault, found.pop()
            last = last.replace("Deleted>", "Error>")[: -len("</Error>")]
            found.append(f"{last}<Code>{fault.code}</Code><Message>{fault.message}</Message></Error>")
        elif quiet:
            found = []
        return xml(f"<DeleteResult {XMLNS}>{''.join(found)}</DeleteResult>")

    # -- copies ----------------------------------------------------------------------------------

    def source(self, request):
        """(bucket, key, version) of x-amz-copy-source, whose conditions hold."""
        told, _, query = request.headers["x-amz-copy-source"].partition("?")
        name, _, key = unquote(told).lstrip("/").partition("/")
        bucket = self.buckets.get(name) or refuse("NoSuchBucket", 404)
        version_id = parse_qs(query).get("versionId", [None])[0]
        found = self.find(request, bucket, key, version_id)
        self.conditions(request.headers, found, "x-amz-copy-source-")
        return found

    def CopyObject(self, request, bucket):
        found = self.source(request)
        self.may_write(request, bucket)
        if len(found.body) > COPY_MAX:
            refuse("InvalidRequest", 400, "The specified copy source is larger than the maximum "
                   "allowable size for a copy source: 5368709120")  # fmt: skip
        headers = found.headers
        if request.headers.get("x-amz-metadata-directive") == "REPLACE":
            headers = self.kept(request.headers)
        etag = found.etag
        if "-" in etag:
            etag = hashlib.md5(found.etag.encode()).hexdigest()
        version = self.keep(bucket, request.key, found.body, etag, headers, found.checksums, "Copy")
        answer = xml(
            f"<CopyObjectResult {XMLNS}><LastModified>{iso(version.modified_s)}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag></CopyObjectResult>"
        )
        if bucket.versioned:
            answer.headers["x-amz-version-id"] = version.id
        return answer

    # -- parts -----------------------------------------------------------------------------------

    def CreateMultipartUpload(self, request, bucket):
        algorithm = request.headers.get("x-amz-checksum-algorithm", "").lower()
        upload = Upload(request.key, self.kept(request.headers), algorithm)
        bucket.uploads[upload.id] = upload
        return xml(
            f"<InitiateMultipartUploadResult {XMLNS}><Bucket>{bucket.name}</Bucket>"
            f"<Key>{text(request.key)}</Key><UploadId>{upload.id}</UploadId>"
            "</InitiateMultipartUploadResult>"
        )

    @staticmethod
    def upload(request, bucket):
        found = bucket.uploads.get(request.query["uploadId"])
        if not found or found.key != request.key:
            refuse("NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be "
                   "invalid, or the upload may have been aborted or completed.")  # fmt: skip
        return found

    @staticmethod
    def number(request):
        number = int(request.query["partNumber"])
        if not 1 <= number <= 10000:
            refuse("InvalidArgument", 400, "Part number must be an integer between 1 and 10000")
        return number

    def UploadPart(self, request, bucket):
        upload, number = self.upload(request, bucket), self.number(request)
        body, checksums = checked(request)
        sent = next(iter(checksums), "").removeprefix("x-amz-checksum-")
        unasked = sent == "crc32" and not upload.algorithm  # which SDKs send of their own accord
        if sent != upload.algorithm and not unasked:
            refuse("InvalidRequest", 400, "Checksum Type mismatch occurred, expected checksum Type: "
                   f"{upload.algorithm or 'null'}, actual checksum Type: {sent or 'null'}")  # fmt: skip
        etag = hashlib.md5(body).hexdigest()
        upload.parts[number] = (etag, body, next(iter(checksums.values()), ""))
        return Answer(200, b"", {"etag": f'"{etag}"', **checksums})

    def UploadPartCopy(self, request, bucket):
        upload, number = self.upload(request, bucket), self.number(request)
        body = self.source(request).body
        asked = request.headers.get("x-amz-copy-source-range")
        if asked:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            if last >= len(body) or first > last:
                refuse("InvalidArgument", 400, f"Range specified is not valid for source object of "
                       f"size: {len(body)}")  # fmt: skip
            body = cut(body, first, last - first + 1)
        if len(body) > COPY_MAX:
            refuse("InvalidRequest", 400, "The specified copy range is too large")
        etag = hashlib.md5(f"{asked} of {request.headers['x-amz-copy-source']}".encode()).hexdigest()
        if not isinstance(body, FileSlice):
            etag = hashlib.md5(body).hexdigest()
        upload.parts[number] = (etag, body, "")
        return xml(
            f"<CopyPartResult {XMLNS}><LastModified>{iso(time.time())}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag></CopyPartResult>"
        )

    def CompleteMultipartUpload(self, request, bucket):
        upload = self.upload(request, bucket)
        asked = []
        for node in ET.fromstring(request.body):
            told = {child.tag.rpartition("}")[2]: child.text or "" for child in node}
            asked.append((int(told["PartNumber"]), told["ETag"].strip('"')))
        numbers = [number for number, _ in asked]
        if not asked:
            refuse("MalformedXML", 400)
        if numbers != sorted(set(numbers)):
            refuse("InvalidPartOrder", 400, "The list of parts was not in ascending order.")
        for number, etag in asked:
            if upload.parts.get(number, ("",))[0] != etag:
                refuse("InvalidPart", 400, "One or more of the specified parts could not be found.")
            if number != numbers[-1] and len(upload.parts[number][1]) < self.part_min:
                refuse("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum "
                       "allowed size")  # fmt: skip
        self.may_write(request, bucket)
        bodies = [upload.parts[number][1] for number in numbers]
        digest = hashlib.md5(b"".join(bytes.fromhex(etag) for _, etag in asked)).hexdigest()
        etag = f"{digest}-{len(asked)}"
        version = self.keep(
            bucket, request.key, self.joined(bodies), etag, upload.headers, {}, "CompleteMultipartUpload"
        )
        version.modified_s = upload.begun_s  # S3 tells when it began, not when it ended
        del bucket.uploads[upload.id]
        answer = xml(
            f"<CompleteMultipartUploadResult {XMLNS}><Location>http://{request.host}/{bucket.name}/"
            f"{quote(request.key)}</Location><Bucket>{bucket.name}</Bucket><Key>{text(request.key)}</Key>"
            f"<ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>"
        )
        if bucket.versioned:
            answer.headers["x-amz-version-id"] = version.id
        return answer

    @staticmethod
    def joined(bodies):
        """Slices of one file that follow one another stay on disk."""
        first = bodies[0]
        if all(isinstance(body, FileSlice) and body.path == first.path for body in bodies):
            at = first.offset
            for body in bodies:
                if body.offset != at:
                    break
                at += body.size
            else:
                return FileSlice(first.path, first.offset, at - first.offset)
        return b"".join(whole(body) for body in bodies)

    def AbortMultipartUpload(self, request, bucket):
        del bucket.uploads[self.upload(request, bucket).id]
        return Answer(204)

    def ListParts(self, request, bucket):
        upload, query = self.upload(request, bucket), request.query
        most = self.most(query.get("max-parts"))
        after = int(query.get("part-number-marker") or 0)
        numbers = sorted(number for number in upload.parts if number > after)
        cut_off, numbers = len(numbers) > most, numbers[:most]
        name = f"Checksum{upload.algorithm.upper()}"

        def told(checksum):
            return f"<{name}>{checksum}</{name}>" if checksum else ""

        parts = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{upload.parts[n][0]}&quot;</ETag>"
            f"<Size>{len(upload.parts[n][1])}</Size>{told(upload.parts[n][2])}</Part>"
            for n in numbers
        )
        return xml(
            f"<ListPartsResult {XMLNS}><Bucket>{bucket.name}</Bucket><Key>{text(upload.key)}</Key>"
            f"<UploadId>{upload.id}</UploadId>"
            + (f"<NextPartNumberMarker>{numbers[-1]}</NextPartNumberMarker>" if numbers else "")
            + f"<MaxParts>{most}</MaxParts><IsTruncated>{str(cut_off).lower()}</IsTruncated>"
            f"{parts}</ListPartsResult>"
        )

    def ListMultipartUploads(self, request, bucket):
        query = request.query
        enc, by_url = self.encoding(query)
        prefix, most = query.get("prefix", ""), self.most(query.get("max-uploads"))
        after = (query.get("key-marker", ""), query.get("upload-id-marker", "\U0010ffff"))
        found = sorted(
            (u for u in bucket.uploads.values() if u.key.startswith(prefix)),
            key=lambda u: (u.key, u.id),
        )
        found = [u for u in found if (u.key, u.id) > after] if query.get("key-marker") else found
        cut_off, found = len(found) > most, found[:most]
        uploads = "".join(
            f"<Upload><Key>{enc(u.key)}</Key><UploadId>{u.id}</UploadId>"
            f"<Initiated>{iso(u.begun_s)}</Initiated>"
            + (f"<ChecksumAlgorithm>{u.algorithm.upper()}</ChecksumAlgorithm>" if u.algorithm else "")
            + "</Upload>"
            for u in found
        )
        markers = ""
        if cut_off:
            markers = (
                f"<NextKeyMarker>{enc(found[-1].key)}</NextKeyMarker>"
                f"<NextUploadIdMarker>{found[-1].id}</NextUploadIdMarker>"
            )
        return xml(
            f"<ListMultipartUploadsResult {XMLNS}><Bucket>{bucket.name}</Bucket>{by_url}{markers}"
            f"<MaxUploads>{most}</MaxUploads><IsTruncated>{str(cut_off).lower()}</IsTruncated>"
            f"{uploads}</ListMultipartUploadsResult>"
        )
