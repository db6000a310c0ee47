"""HTTP ranges, as far as S3 and CloudFront serve them: one range, guarded by ``If-Range``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes from ``start`` up to but not including ``end``."""

    start: int
    end: int


class NotSatisfiable(Exception):
    """The range begins behind the end of the object."""


def wanted(
    header: str | None, if_range: str | None, *, size: int, etag: str, modified: str
) -> Span | None:
    """The part that is asked for; None for the whole object.

    ``etag`` is quoted; ``modified`` is the ``Last-Modified`` date. An ``If-Range`` that fits
    neither asks for the whole object, and so does a header that is no single range.

    Raises:
        NotSatisfiable: see there.
    """
    found = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if found is None or (if_range is not None and if_range not in {etag, modified}):
        return None
    first, last = found.groups()
    if first:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return None
    if start >= size or start >= end:
        raise NotSatisfiable
    return Span(start=start, end=end)
