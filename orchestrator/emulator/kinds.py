"""The table of faults: where each kind can happen and which parameters it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

API_ENDPOINTS = (
    "credential",
    "check",
    "submit",
    "query",
    "avatars",
    "ethnicities",
    "voices",
    "captions",
    "notice_check",
    "credit",
    "credit_logs",
)
OBJECT_ENDPOINTS = ("put", "download")
HTTP_ENDPOINTS = (*API_ENDPOINTS, *OBJECT_ENDPOINTS)
LISTENERS = ("api", "store", "cdn")
ENDPOINTS = (*HTTP_ENDPOINTS, "task", "webhook", *LISTENERS)
MATCH_KEYS = ("text", "hash", "task", "file", "format", "avatar")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: where it can happen, which parameters it takes, and whether the request
    takes effect although its reply is spoilt (``effect``, the default of the parameter; None:
    the kind decides alone)."""

    on: tuple[str, ...]
    takes: tuple[str, ...] = ()
    effect: bool | None = None


KINDS: Mapping[str, Kind] = {
    "drop_before": Kind(HTTP_ENDPOINTS, ("reset",)),
    "drop_after": Kind(HTTP_ENDPOINTS, ("reset",)),
    "drop_mid_body": Kind(HTTP_ENDPOINTS, ("reset",), effect=True),
    "stall": Kind(HTTP_ENDPOINTS, (), effect=True),
    "slow_bytes": Kind(HTTP_ENDPOINTS, ("interval_s",), effect=True),
    "garbage": Kind(HTTP_ENDPOINTS, (), effect=True),
    "status": Kind(
        HTTP_ENDPOINTS, ("status", "body", "retry_after", "location", "message"), effect=False
    ),
    "html": Kind(HTTP_ENDPOINTS, (), effect=True),
    "empty_body": Kind(HTTP_ENDPOINTS, (), effect=True),
    "huge_body": Kind(HTTP_ENDPOINTS, ("size_bytes",), effect=True),
    "truncated_json": Kind(API_ENDPOINTS, (), effect=True),
    "wrong_types": Kind(API_ENDPOINTS, (), effect=True),
    "missing_fields": Kind(API_ENDPOINTS, ("fields",), effect=True),
    "integer_code": Kind(API_ENDPOINTS, (), effect=True),
    "code": Kind(API_ENDPOINTS, ("code", "message", "retry_after"), effect=False),
    "not_there": Kind(("check",)),
    "no_url": Kind(("query",)),
    "unknown_status": Kind(("query",), ("word",)),
    "dead_link": Kind(("credential", "query")),
    "expired": Kind(OBJECT_ENDPOINTS),
    "truncated": Kind(("download",)),
    "no_length": Kind(("download",)),
    "close_delimited": Kind(("download",), ("cut",)),
    "changed": Kind(("download",)),
    "corrupt": Kind(("download",)),
    "fail": Kind(("task",), ("message", "word")),
    "slow": Kind(("task",), ("factor",)),
    "never": Kind(("webhook",)),
    "duplicate": Kind(("webhook",)),
    "string_result": Kind(("webhook",)),
    "late": Kind(("webhook",), ("delay_s",)),
    "refuse": Kind(LISTENERS),
}
NEEDS_SUCCESS = frozenset({"no_url", "dead_link"})
"""Kinds that on a query count and fire only when the task has a video to show."""
CONTENT_KINDS = frozenset({"not_there", "no_url", "unknown_status", "dead_link"})
"""Kinds that change what an API call says, not how its reply travels."""
