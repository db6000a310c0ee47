"""Presigned addresses in the manners of Amazon S3 and CloudFront. Pure.

An address is valid exactly as it was given out, byte for byte: its query holds ``%2B`` and
``%2F``, which a client must not decode and encode again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

BUCKET = "aigc"
Verdict = Literal["good", "expired", "wrong"]


def upload_target(secret: bytes, file_id: str, format: str, now: float, expires_at: float) -> str:
    """Path and query of a presigned PUT, which ends at ``expires_at`` (Unix seconds)."""
    path = f"/{BUCKET}/up/{file_id}.{format}"
    return _s3(secret, "PUT", path, now, expires_at)


def s3_target(secret: bytes, task_id: str, now: float, expires_at: float) -> str:
    """Path and query of a signed download from the object store."""
    return _s3(secret, "GET", f"/{BUCKET}/out/{task_id}.mp4", now, expires_at)


def cdn_target(secret: bytes, task_id: str, expires_at: float) -> str:
    """Path and query of a signed download in CloudFront's manner."""
    path = f"/out/{task_id}.mp4"
    nonce = quote(base64.b64encode(secrets.token_bytes(9)).decode(), safe="")
    plain = f"{path}?Expires={_stamp(expires_at)}&Nonce={nonce}&Key-Pair-Id=KEMULATOR"
    return f"{plain}&Signature={_sign(secret, 'CDN', plain)}"


def judge(secret: bytes, method: str, target: str, now: float) -> Verdict:
    """Whether a path with query was signed here for this verb and has not expired.

    A CDN address is good for GET and HEAD alike; an S3 address only for the verb it was made
    for.
    """
    plain, mark, signature = target.rpartition("&X-Amz-Signature=")
    if not mark:
        plain, mark, signature = target.rpartition("&Signature=")
        method = "CDN" if method in {"GET", "HEAD"} else method
    good = hmac.compare_digest(signature.encode(), _sign(secret, method, plain).encode())
    if not mark or not good:
        return "wrong"
    query = dict(parse_qsl(urlsplit(plain).query))
    ends = query.get("Expires") or query["X-Emulator-Ends"]
    return "good" if now < float(ends) else "expired"


def _s3(secret: bytes, method: str, path: str, now: float, expires_at: float) -> str:
    day = time.strftime("%Y%m%d", time.gmtime(now))
    credential = quote(f"AKIAEMULATOR/{day}/us-east-1/s3/aws4_request", safe="")
    query = "&".join(
        (
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            f"X-Amz-Credential={credential}",
            f"X-Amz-Date={time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}",
            f"X-Amz-Expires={max(1, round(expires_at - now))}",
            f"X-Amz-Security-Token={_token()}",
            "X-Amz-SignedHeaders=host",
            f"X-Emulator-Ends={_stamp(expires_at)}",
        )
    )
    plain = f"{path}?{query}"
    return f"{plain}&X-Amz-Signature={_sign(secret, method, plain)}"


def _token() -> str:
    """A session token that holds ``+`` and ``/`` (percent-encoded) for certain."""
    text = base64.b64encode(b"\xfb\xef\xbe\xff\xff\xff" + secrets.token_bytes(12)).decode()
    return quote(text, safe="")


def _stamp(at: float) -> str:
    return f"{at:.3f}"


def _sign(secret: bytes, method: str, plain: str) -> str:
    digest = hmac.new(secret, f"{method}\n{plain}".encode(), hashlib.sha256).digest()
    if method == "CDN":
        # CloudFront's own alphabet for base64 in an address.
        return base64.b64encode(digest).decode().translate(str.maketrans("+=/", "-_~"))
    return digest.hex()
