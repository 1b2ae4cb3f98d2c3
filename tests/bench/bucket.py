"""A bucket on 127.0.0.1 as far away as one in a region is: so many milliseconds a request, so many
bytes a second a connection. Read only, unsigned; it counts what it is asked.
"""

import hashlib
import os
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PIECE = 1 << 18


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def etag(self, path):
        st = os.stat(path)
        return '"%s"' % hashlib.md5(f"{st.st_mtime_ns}-{st.st_size}".encode()).hexdigest()

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def list(self, query):
        names = sorted(os.path.relpath(os.path.join(d, f), self.server.root) for d, _, files in
                       os.walk(self.server.root) for f in files)
        names = [n for n in names if n.startswith(query.get("prefix", [""])[0])]
        items = ""
        for name in names:
            path = os.path.join(self.server.root, name)
            st = os.stat(path)
            when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(st.st_mtime))
            items += (f"<Contents><Key>{escape(name)}</Key><LastModified>{when}</LastModified><ETag>"
                      f"{escape(self.etag(path))}</ETag><Size>{st.st_size}</Size></Contents>")
        self.answer(200, (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bench</Name><KeyCount>{len(names)}</KeyCount><IsTruncated>false</IsTruncated>{items}"
            "</ListBucketResult>").encode(), Content_Type="application/xml")

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix("/bench").removeprefix("/")
        time.sleep(self.server.latency)
        with self.server.lock:
            self.server.asked.append((self.command, key, self.headers.get("Range", "")))
        if not key:
            self.list(parse_qs(url.query))
            return
        path = os.path.join(self.server.root, key)
        if not os.path.isfile(path):
            self.answer(404)
            return
        self.send(path)

    def send(self, path):
        size, status = os.path.getsize(path), 200
        first, last = 0, size - 1
        if self.headers.get("Range"):
            status = 206
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            first, last = (int(first), min(int(last or size - 1), size - 1)) if first else (size - int(last), size - 1)
        self.send_response(status)
        self.send_header("ETag", self.etag(path))
        self.send_header("Last-Modified", formatdate(os.path.getmtime(path), usegmt=True))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "GET":
            self.pour(path, first, last + 1)

    def pour(self, path, at, end):
        began, begin = time.perf_counter(), at
        self.wfile.flush()
        with open(path, "rb") as file:
            while at < end:
                at += os.sendfile(self.connection.fileno(), file.fileno(), at, min(PIECE, end - at))
                early = (at - begin) / self.server.rate - (time.perf_counter() - began)
                if early > 0.001:
                    time.sleep(early)
        with self.server.lock:
            self.server.sent += end - begin


class Bucket(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root, latency_ms=20, rate=90 << 20):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.latency, self.rate = str(root), latency_ms / 1000, rate
        self.lock = threading.Lock()
        self.forget()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def forget(self):
        self.asked, self.sent = [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"
