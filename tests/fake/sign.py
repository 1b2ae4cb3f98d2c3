"""Who asks? Signature Version 4 as botocore computes it, of the bytes that came over the wire."""

import calendar
import hashlib
import hmac
import time

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SKEW_MAX_S = 15 * 60
UNSIGNED = "UNSIGNED-PAYLOAD"


class Refused(Exception):
    def __init__(self, code, status, message, **extra):
        super().__init__(code)
        self.code, self.status, self.message, self.extra = code, status, message, extra


class Key:
    def __init__(self, secret, token=None, expires_s=None):
        self.secret, self.token, self.expires_s = secret, token, expires_s


class S3Presigned(S3SigV4Auth):
    def payload(self, _):
        return UNSIGNED


def parts(value):
    """Of "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..."."""
    scheme, _, rest = value.partition(" ")
    found = dict(item.strip().split("=", 1) for item in rest.split(",") if "=" in item)
    if scheme != "AWS4-HMAC-SHA256" or not {"Credential", "SignedHeaders", "Signature"} <= set(found):
        raise Refused("AuthorizationHeaderMalformed", 400, "The authorization header is malformed")
    return found["Credential"], found["SignedHeaders"], found["Signature"]


def check(request, keys, now_s, age_s):
    """Sets the request's caller and region, or raises Refused. Unsigned: caller ""."""
    header = request.headers.get("authorization")
    presigned = "X-Amz-Signature" in request.query
    if not header and not presigned:
        return
    if header:
        credential, signed, signature = parts(header)
        date = request.headers.get("x-amz-date", "")
        token = request.headers.get("x-amz-security-token")
    else:
        query = request.query
        credential, signed = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
        signature, date = query["X-Amz-Signature"], query["X-Amz-Date"]
        token = query.get("X-Amz-Security-Token")
    try:
        key_id, day, region, service, last = credential.rsplit("/", 4)
        time_s = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refused("AuthorizationHeaderMalformed", 400, "The credential is malformed") from None
    if last != "aws4_request" or day != date[:8]:
        raise Refused("AuthorizationHeaderMalformed", 400, "The credential's scope is malformed")
    key = keys.get(key_id)
    if key is None:
        raise Refused("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist")
    if token != key.token:
        raise Refused("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
    if key.expires_s is not None and age_s >= key.expires_s:
        raise Refused("ExpiredToken", 400, "The provided token has expired.")
    if presigned:
        if now_s > time_s + int(request.query["X-Amz-Expires"]):
            raise Refused("AccessDenied", 403, "Request has expired")
    elif abs(now_s - time_s) > SKEW_MAX_S:
        message = "The difference between the request time and the current time is too large."
        raise Refused("RequestTimeTooSkewed", 403, message)
    names = signed.split(";")
    must = {name for name in request.headers if name.startswith("x-amz-")} | {"host"}
    if header and not must <= set(names):
        raise Refused("AccessDenied", 403, f"There were headers present which were not signed: "
                      f"{sorted(must - set(names))}")  # fmt: skip
    if hmac.compare_digest(signature, compute(request, key, key_id, region, service, names, date)):
        request.caller, request.region = key_id, region
        check_payload(request)
        return
    raise Refused("SignatureDoesNotMatch", 403, "The request signature we calculated does not match")


def compute(request, key, key_id, region, service, names, date):
    headers = {name: request.headers.get(name, "") for name in names}
    presigned = "authorization" not in request.headers
    credentials = Credentials(key_id, key.secret)
    target = request.target
    if presigned:
        pairs = [p for p in request.query_string.split("&") if not p.startswith("X-Amz-Signature=")]
        target = request.path + "?" + "&".join(pairs)
        auth = S3Presigned(credentials, service, region)
    elif service == "s3":
        auth = S3SigV4Auth(credentials, service, region)
    else:
        auth = SigV4Auth(credentials, service, region)
    aws = AWSRequest(
        method=request.method, url="http://" + request.host + target, data=request.body, headers=headers
    )
    aws.context["timestamp"] = date
    return auth.signature(auth.string_to_sign(aws, auth.canonical_request(aws)), aws)


def check_payload(request):
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        if request.service == "s3" and "authorization" in request.headers:
            raise Refused("InvalidRequest", 400, "Missing required header x-amz-content-sha256")
        return
    if len(declared) == 64 and hashlib.sha256(request.body).hexdigest() != declared:
        raise Refused("XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header "
                      "does not match what was computed.")  # fmt: skip
