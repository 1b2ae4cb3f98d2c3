"""HTTP/1.1 on asyncio, by hand: the bytes of a request, and those of an answer or of its failure."""

import asyncio
import functools
import http
import os
import socket
import struct
import time
from email.utils import formatdate
from urllib.parse import parse_qsl, unquote

REASON = {status.value: status.phrase for status in http.HTTPStatus}
PIECE = 256 << 10
HEAD_MAX = 64 << 10


class Request:
    __slots__ = (
        "method", "target", "path", "query_string", "query", "headers", "body", "host", "service",
        "operation", "bucket", "key", "fault", "begun", "connection", "region", "caller",
    )  # fmt: skip

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.path, _, self.query_string = self.target.partition("?")
        self.query = (
            dict(parse_qsl(self.query_string, keep_blank_values=True)) if self.query_string else {}
        )
        self.headers = headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        self.host = headers.get("host", "")
        self.body = b""
        self.service = self.operation = self.bucket = self.key = ""
        self.region = self.caller = ""
        self.fault = None

    @property
    def text_path(self):
        return unquote(self.path)


class FileSlice:
    """Bytes of a file (sparse ones are fine) that stand for an object's."""

    def __init__(self, path, offset=0, size=None):
        self.path, self.offset = path, offset
        self.size = os.stat(path).st_size - offset if size is None else size

    def __len__(self):
        return self.size

    def cut(self, first, size):
        return FileSlice(self.path, self.offset + first, size)

    def read(self):
        return b"".join(self.pieces())

    def pieces(self):
        with open(self.path, "rb") as f:
            at, end = self.offset, self.offset + self.size
            while at < end:
                f.seek(at)
                piece = f.read(min(PIECE, end - at))
                if not piece:
                    return
                at += len(piece)
                yield piece


def cut(body, first, size):
    return body.cut(first, size) if isinstance(body, FileSlice) else body[first : first + size]


def whole(body):
    return body.read() if isinstance(body, FileSlice) else body


class Answer:
    __slots__ = ("status", "headers", "body", "length")

    def __init__(self, status=200, body=b"", headers=None, length=None):
        self.status, self.body = status, body
        self.headers = headers or {}
        self.length = length  # of a HEAD, which has no body


@functools.lru_cache(16)
def date_line(time_s):
    return f"date: {formatdate(time_s, usegmt=True)}"


class Reset(Exception):
    """The connection ends with a RST, now."""


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.buffer = bytearray()
        self.request = None  # whose body is still to come
        self.current = None  # not answered yet
        self.need = 0
        self.chunked = False
        self.busy = False
        self.task = None
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.transport = None
        self.close_after = False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(4 << 20)
        self.server.connected(self)

    def connection_lost(self, _):
        if self.task:
            self.task.cancel()
        self.flowing.set()
        self.end(0, 0)
        self.server.disconnected(self)

    def end(self, status, sent):
        request, self.current = self.current, None
        if request:
            self.server.ended(request, status, sent)

    def pause_writing(self):
        self.flowing.clear()

    def resume_writing(self):
        self.flowing.set()

    # -- in --------------------------------------------------------------------------------------

    def data_received(self, data):
        self.buffer += data
        try:
            while not self.busy and self.step():
                pass
        except Reset:
            self.reset()
        except (ValueError, IndexError):
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def step(self):
        """One request further; False when more bytes are needed."""
        if self.request is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) > HEAD_MAX:
                    raise ValueError
                return False
            request = Request(bytes(self.buffer[:end]))
            del self.buffer[: end + 4]
            request.begun, request.connection = time.monotonic(), id(self)
            headers = request.headers
            self.need = int(headers.get("content-length", 0))
            self.chunked = "chunked" in headers.get("transfer-encoding", "")
            self.close_after = "close" in headers.get("connection", "").lower()
            self.request = self.current = request
            self.server.began(request)
            if headers.get("expect") == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        fault = self.request.fault
        if fault and fault.kind == "reset-upload" and 2 * len(self.buffer) >= self.need:
            raise Reset
        body = self.take_chunks() if self.chunked else self.take(self.need)
        if body is None:
            return False
        request, self.request = self.request, None
        request.body = body
        self.busy = True
        answer = self.server.answer(request)
        if asyncio.iscoroutine(answer):
            self.task = self.server.loop.create_task(self.later(request, answer))
        else:
            self.send(request, answer)
        return True

    def take(self, size):
        if len(self.buffer) < size:
            return None
        body = bytes(self.buffer[:size])
        del self.buffer[:size]
        return body

    def take_chunks(self):
        at, found = 0, []
        while True:
            end = self.buffer.find(b"\r\n", at)
            if end < 0:
                return None
            size = int(bytes(self.buffer[at:end]).split(b";")[0], 16)
            at = end + 2
            if len(self.buffer) < at + size + 2:
                return None
            if size == 0:
                del self.buffer[: at + 2]
                return b"".join(found)
            found.append(bytes(self.buffer[at : at + size]))
            at += size + 2

    # -- out -------------------------------------------------------------------------------------

    async def later(self, request, answer):
        try:
            self.send(request, await answer)
        except Reset:
            self.reset()
            return
        self.again()

    def again(self):
        """What came while we were busy."""
        if not self.busy and self.buffer and not self.transport.is_closing():
            self.data_received(b"")

    def reset(self):
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def head(self, request, answer, length):
        skew_s = request.fault.skew_s if request.fault else 0
        skew_s += self.server.skew(request)
        lines = [
            f"HTTP/1.1 {answer.status} {REASON.get(answer.status, 'Unknown')}",
            date_line(int(time.time() + skew_s)),
            "server: fake",
        ]
        if answer.status not in (204, 304):
            lines.append(f"content-length: {length}")
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if self.close_after:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    def send(self, request, answer):
        if self.transport.is_closing():
            return
        body = answer.body
        fault = request.fault
        if fault and fault.on_wire:
            self.task = self.server.loop.create_task(self.send_badly(request, answer, fault))
            return
        head_only = request.method == "HEAD"
        length = answer.length if answer.length is not None else len(body)
        head = self.head(request, answer, length)
        if isinstance(body, FileSlice) and not head_only:
            self.task = self.server.loop.create_task(self.stream(request, answer, head))
            return
        self.transport.write(head if head_only or not body else head + body)
        self.finish(answer.status, 0 if head_only else len(body))

    def finish(self, status, sent):
        self.end(status, sent)
        self.busy = False
        if self.close_after:
            self.transport.close()

    async def stream(self, request, answer, head):
        sent = 0
        self.transport.write(head)
        for piece in answer.body.pieces():
            await self.flowing.wait()
            if self.transport.is_closing():
                break
            self.transport.write(piece)
            sent += len(piece)
        self.finish(answer.status, sent)
        self.again()

    async def send_badly(self, request, answer, fault):
        """The faults of an answer on its way."""
        body = b"" if request.method == "HEAD" else whole(answer.body)
        length = answer.length if answer.length is not None else len(body)
        kind, half = fault.kind, len(body) // 2
        if kind == "silent":
            return  # busy for ever: nothing more is read or written
        if kind == "reset-after":
            self.reset()
            return
        if kind == "short":
            body = body[: max(0, len(body) - fault.bytes)]
            length = len(body)
        elif kind == "long":
            body, length = body + b"x" * fault.bytes, len(body) + fault.bytes
        head = self.head(request, answer, length)
        if kind in ("reset-body", "truncate", "stall"):
            self.transport.write(head + body[:half])
            self.end(answer.status, half)
            if kind == "reset-body":
                self.reset()
            elif kind == "truncate":
                self.transport.close()
            return
        self.transport.write(head)
        if kind == "slow":
            for at in range(0, len(body), fault.bytes):
                self.transport.write(body[at : at + fault.bytes])
                await asyncio.sleep(fault.delay_s)
        else:
            self.transport.write(body)
        self.finish(answer.status, len(body))
        self.again()
