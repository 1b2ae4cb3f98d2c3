"""STS: keys for a while."""

import secrets

from .s3 import iso
from .sign import Key, Refused


class STS:
    def __init__(self, server):
        self.server = server
        self.assumed = []

    def give(self, form):
        duration_s = int(form.get("DurationSeconds", 3600))
        if not 900 <= duration_s <= 43200:
            raise Refused("ValidationError", 400, "DurationSeconds is out of range")
        key_id, secret = "ASIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
        token, expires_s = secrets.token_urlsafe(200), self.server.now() + duration_s
        self.server.keys[key_id] = Key(secret, token, expires_s)
        self.assumed.append({"role": form["RoleArn"], "session": form["RoleSessionName"]})
        return (
            f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}"
            f"</SecretAccessKey><SessionToken>{token}</SessionToken>"
            f"<Expiration>{iso(expires_s)[:-5]}Z</Expiration></Credentials><AssumedRoleUser>"
            f"<Arn>{form['RoleArn']}/{form['RoleSessionName']}</Arn>"
            "<AssumedRoleId>AROAFAKE:session</AssumedRoleId></AssumedRoleUser>"
        )

    AssumeRole = AssumeRoleWithWebIdentity = give

    def GetCallerIdentity(self, _):
        account = self.server.account
        return (
            f"<Arn>arn:aws:iam::{account}:user/owner</Arn><UserId>AIDAFAKE</UserId>"
            f"<Account>{account}</Account>"
        )
