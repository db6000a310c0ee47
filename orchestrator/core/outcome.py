"""What an answer of the vendor means: one table for submits, one for queries, one for the rest.

A submit costs money and cannot be asked again, so its judgement errs on one side only: where
the vendor's application did not surely turn the request away, a task may exist. The order of
precedence in :func:`judge_submit` is the law (``docs/design.md`` section 6):

1. a task id anywhere in the reply: accepted;
2. else the envelope's code, if there is a readable envelope;
3. else the HTTP status of a response object;
4. else how the request failed.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, assert_never

from orchestrator.model import Answer, Failure, FileId, TaskId, Verdict


class Cause(StrEnum):
    """Why a submit came to its verdict: what the engine has to do now."""

    ACCEPTED = "accepted"  # go on with the task
    JOB = "job"  # the request itself is wrong: fail this job
    FILE_UNKNOWN = "file_unknown"  # a file id is not known any more: upload anew
    CAP_FULL = "cap_full"  # as many unfinished tasks as the account may have: wait for one
    BUSY = "busy"  # too many requests: pause all submits
    CREDIT = "credit"  # no credit left: stop submitting
    AUTH = "auth"  # the credentials are refused: stop at once
    GATEWAY = "gateway"  # turned away before the vendor's application: not the job's fault
    NEVER_SENT = "never_sent"  # the request did not leave: try again later
    UNKNOWN = "unknown"  # a task may exist: never repeat


VERDICTS: Mapping[Cause, Verdict] = MappingProxyType(
    {
        Cause.ACCEPTED: Verdict.ACCEPTED,
        Cause.JOB: Verdict.REFUSED,
        Cause.FILE_UNKNOWN: Verdict.REFUSED,
        Cause.CAP_FULL: Verdict.REFUSED,
        Cause.BUSY: Verdict.REFUSED,
        Cause.CREDIT: Verdict.REFUSED,
        Cause.AUTH: Verdict.REFUSED,
        Cause.GATEWAY: Verdict.REFUSED,
        Cause.NEVER_SENT: Verdict.NEVER_SENT,
        Cause.UNKNOWN: Verdict.UNKNOWN,
    }
)

SUBMIT_CODES: Mapping[str, tuple[Cause, str]] = MappingProxyType(
    {
        "200": (Cause.UNKNOWN, "success, but the reply names no task"),
        "401": (Cause.AUTH, "the vendor does not accept the credentials"),
        "4000": (Cause.JOB, "a parameter of the request is wrong"),
        "4001": (Cause.JOB, "the request has the wrong form"),
        "4002": (Cause.AUTH, "the vendor does not accept the signature"),
        "4003": (Cause.JOB, "a required parameter is missing"),
        "4004": (Cause.FILE_UNKNOWN, "the vendor does not know a file, avatar, voice or caption"),
        "4005": (Cause.JOB, "the name is taken"),
        "4006": (Cause.JOB, "the vendor refused the request"),
        "4007": (Cause.CAP_FULL, "the account has as many unfinished tasks as it may have"),
        "4100": (Cause.CREDIT, "there is not enough credit"),
        "5000": (Cause.UNKNOWN, "an internal error of the vendor"),
        "5001": (Cause.UNKNOWN, "an internal call of the vendor failed"),
        "5003": (Cause.BUSY, "the vendor is busy"),
        "5004": (Cause.UNKNOWN, "an input/output error of the vendor"),
        "5005": (Cause.UNKNOWN, "an unknown error of the vendor"),
        "6001": (Cause.JOB, "the vendor's content check turned it away"),
    }
)
"""Every documented code of the vendor, as a submit has to read it. Any other is UNKNOWN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOutcome:
    """What a submit came to.

    ``reason`` is a machine word ("accepted", "vendor:4003", "http:502", "no_reply",
    "never_sent", "no_task_id"), ``message`` a sentence. ``task_id`` is set exactly when the
    verdict is ACCEPTED. ``retry_after_s`` is the vendor's wish (>= 0), None without one.
    """

    cause: Cause
    reason: str
    message: str
    task_id: TaskId | None = None
    retry_after_s: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether a task exists, for the record."""
        return VERDICTS[self.cause]


def judge_submit(answer: Answer) -> SubmitOutcome:
    """Judge the reply to a paid request; never raises, and never calls a maybe a no."""
    task_id = find_task_id(answer.result)
    if task_id is not None:
        message = f"The vendor made task {task_id}"
        return SubmitOutcome(
            cause=Cause.ACCEPTED, reason="accepted", message=message, task_id=task_id
        )
    cause, reason, words = _refusal(answer)
    message = _sentence(words, answer)
    if cause is Cause.UNKNOWN:
        message += "; a task may have been made, so it is not sent again by itself"
    return SubmitOutcome(
        cause=cause, reason=reason, message=message, retry_after_s=answer.retry_after_s
    )


def _refusal(answer: Answer) -> tuple[Cause, str, str]:
    if answer.code is not None:
        cause, words = SUBMIT_CODES.get(
            answer.code, (Cause.UNKNOWN, f"the vendor answered with unknown code {answer.code}")
        )
        reason = "no_task_id" if answer.code == "200" else f"vendor:{answer.code}"
        return cause, reason, words
    if answer.status is not None:
        return _status_cause(answer.status), f"http:{answer.status}", _status_words(answer.status)
    failure = answer.failure or Failure.NO_REPLY
    match failure:
        case Failure.NEVER_SENT:
            return Cause.NEVER_SENT, "never_sent", _failure_words(failure)
        case Failure.NO_REPLY:
            return Cause.UNKNOWN, "no_reply", _failure_words(failure)
        case _ as other:
            assert_never(other)


def _status_cause(status: int) -> Cause:
    """Read an HTTP status that came without an envelope."""
    match status:
        case 401:
            return Cause.AUTH
        case 408:
            return Cause.UNKNOWN
        case 429:
            return Cause.BUSY
        case _ if 400 <= status <= 499:
            return Cause.GATEWAY
        case _:
            return Cause.UNKNOWN


class TaskFate(StrEnum):
    """What a query says of a task."""

    PENDING = "pending"  # not finished
    SUCCESS = "success"  # finished; ``url`` is set
    NO_URL = "no_url"  # said to be finished, but no video is named: ask again
    FAILED = "failed"  # the vendor gave up; ``message`` holds its words
    UNKNOWN_TASK = "unknown_task"  # 4004: the vendor does not know the task
    NO_INFORMATION = "no_information"  # nothing was learned: leave the job as it is
    BUSY = "busy"  # too many requests: pause this kind of call
    AUTH = "auth"  # the credentials are refused: stop at once


_WAITING = frozenset({"init", "queued", "queuing", "waiting", "pending"})
_RUNNING = frozenset({"running", "processing"})
_FAILED = frozenset({"fail", "failed", "failure", "error", "cancelled", "canceled", "expired"})
_SUCCESS = "success"
_SUCCESS_WITH_URL = frozenset({"completed", "done", "succeeded"})
"""Words of other products for success: believed only when a video is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """What one query told of a task.

    ``reason`` is a machine word, ``message`` a sentence or the vendor's own words. ``url`` is
    the link to the video, as it came, with SUCCESS only. ``odd_status`` is a status word that
    nobody has documented (the fate is PENDING then). ``running``: whether the vendor says that it
    renders (True) or waits (False), None if it does not say. ``cost_credit`` >= 0, None if not
    told.
    ``video`` and ``audio`` are the input file ids that the vendor shows, None where it shows none.
    """

    fate: TaskFate
    reason: str = ""
    message: str = ""
    url: str | None = field(default=None, repr=False)
    odd_status: str | None = None
    running: bool | None = None
    cost_credit: float | None = None
    retry_after_s: float | None = None
    video: FileId | None = None
    audio: FileId | None = None

    @property
    def known(self) -> bool:
        """The vendor knows the task as this account's own."""
        return self.fate in _KNOWN


_KNOWN = frozenset({TaskFate.PENDING, TaskFate.SUCCESS, TaskFate.NO_URL, TaskFate.FAILED})


def judge_query(answer: Answer, task_id: TaskId | None = None) -> TaskView:
    """Judge the reply to a query; a reply about another task than ``task_id`` tells nothing."""
    if answer.ok:
        return _with_inputs(_task_view(answer.result, task_id), answer.result)
    if answer.code == "4004":
        message = _sentence("the vendor does not know the task", answer)
        return TaskView(fate=TaskFate.UNKNOWN_TASK, reason="vendor:4004", message=message)
    call = judge_call(answer)
    if call.fate is CallFate.AUTH:
        fate = TaskFate.AUTH
    elif answer.code == "5003" or _is_429(answer):
        fate = TaskFate.BUSY
    else:
        fate = TaskFate.NO_INFORMATION
    return TaskView(
        fate=fate, reason=call.reason, message=call.message, retry_after_s=answer.retry_after_s
    )


def _task_view(result: Any, task_id: TaskId | None) -> TaskView:
    if not isinstance(result, Mapping):
        return _nothing("empty_result", "The vendor's reply says nothing of the task")
    named = result.get("taskId")
    if task_id is not None and isinstance(named, str) and named.strip() not in ("", task_id):
        return _nothing("other_task", "The vendor's reply is about another task")
    status = result.get("status")
    if status is None or (isinstance(status, str) and not status.strip()):
        return _nothing("no_status", "The vendor's reply names no status")
    word = clean_words(str(status)).lower()[:40]
    url = usable_link(result.get("outputVideoUrl"))
    cost = _amount(result.get("costCredit"))
    if word in _FAILED:
        message = clean_words(result.get("errorMsg")) or "The vendor gave no reason"
        return TaskView(
            fate=TaskFate.FAILED, reason=f"task:{word}", message=message, cost_credit=cost
        )
    if word == _SUCCESS or (word in _SUCCESS_WITH_URL and url is not None):
        fate = TaskFate.NO_URL if url is None else TaskFate.SUCCESS
        reason = "no_url" if url is None else ""
        message = "The vendor calls the task a success but names no video" if url is None else ""
        return TaskView(fate=fate, reason=reason, message=message, url=url, cost_credit=cost)
    odd = None if word in _WAITING | _RUNNING else word
    running = None if odd is not None else word in _RUNNING
    return TaskView(fate=TaskFate.PENDING, odd_status=odd, running=running, cost_credit=cost)


def _with_inputs(view: TaskView, result: Any) -> TaskView:
    if not isinstance(result, Mapping):
        return view
    video, audio = (_id_text(result.get(f"input{x}FileId")) for x in ("Video", "Audio"))
    return replace(
        view, video=FileId(video) if video else None, audio=FileId(audio) if audio else None
    )


def _nothing(reason: str, message: str) -> TaskView:
    return TaskView(fate=TaskFate.NO_INFORMATION, reason=reason, message=message)


class CallFate(StrEnum):
    """What a free call (credential, check, credit) came to."""

    OK = "ok"
    RETRY = "retry"  # later it may work
    AUTH = "auth"  # the credentials are refused: stop at once
    PERMANENT = "permanent"  # it will not work by repeating


@dataclass(frozen=True, slots=True, kw_only=True)
class CallVerdict:
    """Judgement of a free call; ``reason`` is a machine word, "" for OK."""

    fate: CallFate
    reason: str = ""
    message: str = ""
    retry_after_s: float | None = None


def judge_call(answer: Answer) -> CallVerdict:
    """Judge a call that costs nothing: when in doubt, it is asked again."""
    if answer.ok:
        return CallVerdict(fate=CallFate.OK)
    if answer.code is not None:
        fate = CallFate.RETRY if _is_429(answer) else _code_fate(answer.code)
        reason = f"vendor:{answer.code}"
        known = SUBMIT_CODES.get(answer.code)
        words = known[1] if known else f"the vendor answered with unknown code {answer.code}"
    elif answer.status is not None:
        fate, reason = _status_fate(answer.status), f"http:{answer.status}"
        words = _status_words(answer.status)
    else:
        failure = answer.failure or Failure.NO_REPLY
        fate, reason, words = CallFate.RETRY, failure.value, _failure_words(failure)
    return CallVerdict(
        fate=fate,
        reason=reason,
        message=_sentence(words, answer),
        retry_after_s=answer.retry_after_s,
    )


def _code_fate(code: str) -> CallFate:
    """Codes of no table: 4xxx and 6xxx stay, everything else may pass (docs/vendor.md)."""
    if code in ("401", "4002"):
        return CallFate.AUTH
    if code in ("408", "429", "4007"):
        return CallFate.RETRY
    return CallFate.PERMANENT if code[:1] in ("4", "6") else CallFate.RETRY


def _status_fate(status: int) -> CallFate:
    if status == 401:
        return CallFate.AUTH
    if status in (301, 308):
        return CallFate.PERMANENT
    refused = 400 <= status <= 499 and status not in (408, 425, 429)
    return CallFate.PERMANENT if refused else CallFate.RETRY


class PutFate(StrEnum):
    """What a PUT to a presigned URL came to."""

    OK = "ok"
    RETRY = "retry"  # the same URL may work later
    NEW_LINK = "new_link"  # this URL will not work again: ask for another credential
    PERMANENT = "permanent"  # the object store will never take it so


@dataclass(frozen=True, slots=True, kw_only=True)
class PutVerdict:
    """Judgement of a PUT; ``reason`` is a machine word, "" for OK."""

    fate: PutFate
    reason: str = ""
    message: str = ""
    retry_after_s: float | None = None


def judge_put(answer: Answer) -> PutVerdict:
    """Judge a PUT: any 2xx is good, 403 wants a new link (docs/vendor.md)."""
    status = answer.status
    if status is None:
        failure = answer.failure or Failure.NO_REPLY
        fate, reason, words = PutFate.RETRY, failure.value, _failure_words(failure)
    elif 200 <= status <= 299:
        return PutVerdict(fate=PutFate.OK)
    else:
        fate, reason = _put_fate(status, answer.message), f"http:{status}"
        words = f"the object store answered with HTTP {status}"
    return PutVerdict(
        fate=fate,
        reason=reason,
        message=_sentence(words, answer),
        retry_after_s=answer.retry_after_s,
    )


def _put_fate(status: int, s3_code: str) -> PutFate:
    if status == 400 and s3_code == "RequestTimeout":  # S3: the upload stalled
        return PutFate.RETRY
    if status == 501 or status in (400, 405, 411, 413):
        return PutFate.PERMANENT
    if status in (408, 425, 429) or status >= 500:
        return PutFate.RETRY
    return PutFate.NEW_LINK


def find_task_id(result: Any) -> TaskId | None:
    """The first non-empty text under a key ``taskId`` in a reply, nearest to its root.

    The spelling of the key is read leniently (``task_id``, ``taskID``). Texts that cannot be
    printed as they stand (control characters, half of a surrogate pair) are no ids.
    """
    queue: deque[Any] = deque([result])
    while queue:
        value = queue.popleft()
        if isinstance(value, Mapping):
            for key, item in value.items():
                if str(key).replace("_", "").lower() == "taskid" and (found := _id_text(item)):
                    return TaskId(found)
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
    return None


def _id_text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or not text.isprintable():
        return None
    return text


def _is_429(answer: Answer) -> bool:
    return answer.status == 429 or answer.code == "429"


def usable_link(value: Any) -> str | None:
    """A link that can be sent as it stands, untouched; None for anything else."""
    if not isinstance(value, str) or not re.fullmatch(r"(?i:https?)://[!-~]+", value):
        return None
    return value


_READ_CHARS = 4000
"""Of longer words only the beginning is looked at: finding links in a text that is full of them
takes time that grows with the square of its length."""


def clean_words(value: Any) -> str:
    """Words from outside as one printable line of at most 500 characters, "" if they are none.

    Links lose their query strings, which may be signatures, and bearers their tokens.
    """
    if not isinstance(value, str):
        return ""
    text = value[:_READ_CHARS]
    text = re.sub(r"(?i)(https?://[^\s?\"'<>]*)\?[^\s\"'<>]*", r"\1", text)
    text = re.sub(r"(?i)(bearer)\s+\S+", r"\1 ***", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:500]


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = float(value) if abs(value) < 1e12 else math.inf
    return amount if math.isfinite(amount) and amount >= 0 else None


def _status_words(status: int) -> str:
    match status:
        case 401:
            return "the vendor does not accept the credentials (HTTP 401)"
        case 429:
            return "the vendor asks for fewer requests (HTTP 429)"
        case 403 | 404:
            return (
                f"the vendor's gateway turned the request away with HTTP {status}; "
                "check TOPVIEW_BASE_URL and the network in between"
            )
        case 301 | 302 | 303 | 307 | 308:
            return f"the vendor's address points elsewhere (HTTP {status}); check TOPVIEW_BASE_URL"
        case _:
            return f"the vendor's gateway answered with HTTP {status}"


def _failure_words(failure: Failure) -> str:
    match failure:
        case Failure.NEVER_SENT:
            return "the request could not be sent"
        case Failure.NO_REPLY:
            return "no reply came to the request"
        case _:
            assert_never(failure)


def _sentence(words: str, answer: Answer) -> str:
    """Our words, then the vendor's code, words and the clue, where there are any."""
    text = words[:1].upper() + words[1:]
    if answer.code is not None and answer.code not in words:
        text += f" (code {answer.code})"
    clues = [c for c in (answer.message.strip(), answer.detail.strip()) if c]
    return f"{text}: {'; '.join(clues)}" if clues else text
