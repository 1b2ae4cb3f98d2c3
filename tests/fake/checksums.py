"""Checksums of what comes to S3: each that a request declares must be right."""

import base64
import binascii
import ctypes
import ctypes.util
import hashlib

from .sign import Refused

_isal = ctypes.util.find_library("isal")
_isal = ctypes.CDLL(_isal) if _isal else None


def crc32c(data):
    if _isal:
        seed = ctypes.c_uint(0xFFFFFFFF)
        got = _isal.crc32_iscsi(ctypes.c_char_p(data), ctypes.c_int(len(data)), seed)
        return (got & 0xFFFFFFFF) ^ 0xFFFFFFFF
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


CHECKSUMS = {
    "crc32": lambda data: binascii.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: crc32c(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


def checked(request):
    """The body, unwrapped from aws-chunked, after it met every digest that came with it; and those."""
    headers, body, trailer = request.headers, request.body, {}
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        body, trailer = unwrap(body)
        if len(body) != int(headers.get("x-amz-decoded-content-length", len(body))):
            raise Refused("IncompleteBody", 400, "The request body terminated unexpectedly")
    md5 = headers.get("content-md5")
    if md5 and base64.b64encode(hashlib.md5(body).digest()).decode() != md5:
        raise Refused("BadDigest", 400, "The Content-MD5 you specified did not match what we received.")
    found = {}
    for name, digest in CHECKSUMS.items():
        header = "x-amz-checksum-" + name
        declared = headers.get(header) or trailer.get(header)
        if declared:
            if base64.b64encode(digest(body)).decode() != declared:
                raise Refused("BadDigest", 400, f"The {name} you specified did not match what we received.")
            found[header] = declared
    return body, found


def unwrap(body):
    at, found, trailer = 0, [], {}
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].split(b";")[0], 16)
        at = end + 2
        if size == 0:
            break
        found.append(body[at : at + size])
        at += size + 2
    for line in body[at:].decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            trailer[name.lower()] = value.strip()
    return b"".join(found), trailer
