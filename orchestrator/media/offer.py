"""What a response to a download offers, read from its status and headers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)
_PLAIN_MD5 = re.compile(r'"([0-9a-f]{32})"', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Bytes of a video from ``start`` on.

    ``total_bytes`` is the size of the whole video, None if not announced. ``validator`` changes
    when the bytes do (a strong ETag or the modification time), None if there is none. ``md5`` is
    the MD5 of the whole, 32 lower-case hex digits, where the ETag seems to be one.
    """

    start: int
    total_bytes: int | None
    validator: str | None
    md5: str | None


def read_offer(status: int, headers: Mapping[str, str]) -> Offer | None:
    """The offer of a 200 or 206; None for a 206 that does not say which bytes it brings."""
    start, total = 0, _number(headers.get("Content-Length"))
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if match is None:
            return None
        start, end, whole = int(match[1]), int(match[2]), match[3]
        total = end + 1 if whole == "*" else int(whole)
    return Offer(start=start, total_bytes=total, validator=_validator(headers), md5=_md5(headers))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _validator(headers: Mapping[str, str]) -> str | None:
    """A weak ETag does not vouch for single bytes (RFC 9110, section 13.1.5)."""
    etag = headers.get("ETag", "").strip()
    if etag.startswith('"') and len(etag) > 2:
        return etag
    return headers.get("Last-Modified", "").strip() or None


def _md5(headers: Mapping[str, str]) -> str | None:
    """A multipart upload's ETag has a dash in it; one under a managed key is no MD5."""
    if headers.get("x-amz-server-side-encryption", "AES256") != "AES256":
        return None
    match = _PLAIN_MD5.fullmatch(headers.get("ETag", "").strip())
    return match[1].lower() if match else None
