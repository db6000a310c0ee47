"""The words of a webhook: its address, what the vendor says there, and what it wants to hear.

Pure: no socket, no clock. A notice proves nothing (it carries no signature); it is a hint to ask
the vendor about a task now. ``docs/webhooks.md`` tells the whole story.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from orchestrator.config import Secret
from orchestrator.errors import UsageError
from orchestrator.model import TaskId

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_WORD = re.compile(r"[!-~]{1,128}")
_UNSENDABLE = re.compile(r"[\s\x00-\x1f\x7f#]")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardNotice:
    """What somebody said about a task at an attempt's secret address.

    ``status`` is lower-case ("success", "fail", or whatever else was said); it and ``uuid`` are
    "" where nothing usable was said. All are printable ASCII of at most 128 characters.
    """

    token: str = field(repr=False)
    task_id: TaskId
    status: str
    uuid: str


def notice_url(public_url: str, token: str) -> str:
    """The address for one attempt: ``token`` as the last segment of the public address's path.

    A query of the public address stays behind it.

    Raises:
        UsageError: ``public_url`` is no address that the vendor could call.
        ValueError: ``token`` is not 1 to 128 of the characters A-Z, a-z, 0-9, "_", "-".
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is 1 to 128 letters, digits, '_' or '-'")
    parts = _parts(public_url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{token}").geturl()


def notice_path(public_url: str) -> str:
    """The path of the public address, decoded, without a slash at its end; "" for none.

    Raises:
        UsageError: ``public_url`` is no address that the vendor could call.
    """
    return unquote(_parts(public_url).path).rstrip("/")


def _parts(public_url: str) -> SplitResult:
    try:
        parts = urlsplit(public_url)
        reachable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise _no_address(public_url) from None  # its words would repeat the address
    if not reachable or _UNSENDABLE.search(public_url):
        raise _no_address(public_url)
    return parts


def _no_address(public_url: str) -> UsageError:
    """Without what may be a password or a key in it."""
    shown = public_url.partition("?")[0].rpartition("@")[2]
    return UsageError(
        f"The webhook's public address is no address that the vendor could call: {shown!r}; "
        "give the address under which the internet reaches this machine, such as "
        "https://public.example/hook"
    )


def token_in(path: str, prefix: str) -> str | None:
    """The token that ends a decoded request path; None if the path is no notice's address.

    ``prefix`` is :func:`notice_path` of the public address. A path without it is taken too:
    many proxies cut off the part that they route by.
    """
    bare = path.removeprefix(prefix)
    token = bare.removeprefix("/")
    return token if bare.startswith("/") and _TOKEN.fullmatch(token) else None


def is_ours(sent: Iterable[str], uid: Secret | None) -> bool:
    """Whether every ``Topview-Uid`` header that was sent is our uid.

    None sent, or no uid to compare with: True.
    """
    if uid is None:
        return True
    own = uid.reveal().encode()
    return all(hmac.compare_digest(one.encode("utf-8", "surrogateescape"), own) for one in sent)


def parse_notice(token: str, body: bytes) -> HeardNotice | None:
    """What a request to ``token``'s address says; None if it names no task.

    ``result`` may be an object or a JSON text of one; it is asked for what the notice itself
    leaves out. Raises nothing, whatever the body holds.
    """
    said = _fields(body)
    result = _fields(said.get("result"))
    task_id = _word(said.get("taskId")) or _word(result.get("taskId"))
    if not task_id:
        return None
    status = _word(said.get("status")) or _word(result.get("status"))
    uuid = _word(said.get("uuid"))
    return HeardNotice(token=token, task_id=TaskId(task_id), status=status.lower(), uuid=uuid)


def _fields(value: Any) -> Mapping[str, Any]:
    """A JSON object, given as one or as its text; empty for anything else."""
    if isinstance(value, bytes | str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _word(value: Any) -> str:
    """An id or a status; "" for what cannot be one."""
    text = value.strip() if isinstance(value, str) else ""
    return text if _WORD.fullmatch(text) else ""


def reply_for(notice: HeardNotice, uid: Secret | None) -> dict[str, Any]:
    """The JSON that the vendor expects when a notice was taken (``uid`` None: an empty one)."""
    return {
        "code": "200",
        "message": "Success",
        "result": {
            "uuid": notice.uuid,
            "topviewUid": uid.reveal() if uid is not None else "",
            "result": "success",
        },
    }
