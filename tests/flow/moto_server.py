"""moto as a program for the tests: `python moto_server.py` prints its port once it listens.

Two of moto 5.2.1's shortcomings are mended, both in its check of signatures, which would else refuse
what AWS accepts and accept what AWS refuses: it signs the path that werkzeug decoded, so keys with
'=' (all of ours) never match; and it does not compare a payload with its declared digest.
"""

import hashlib
import sys

from botocore.awsrequest import AWSRequest
from flask import request as flask_request
from moto.iam import access_control
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
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


class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        sys.stderr.write(f"{self.requestline} -> {code}\n")


def main():
    access_control.IAMRequestBase._create_aws_request = create_aws_request
    app = DomainDispatcherApplication(create_backend_app)
    app.debug = True
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
