"""From rows to values and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.model import (
    Attempt,
    AudioKind,
    AvatarKind,
    Event,
    EventKind,
    Job,
    JobSpec,
    MediaFacts,
    Mode,
    State,
    Verdict,
)
from orchestrator.store.base import (
    Asset,
    BatchRow,
    Charge,
    Cost,
    FileStamp,
    JobRow,
    Known,
    Owner,
    RunRow,
    StoredEvent,
    Stranger,
)

Row = tuple[Any, ...]

_STATES = {state.value: state for state in State}
"""Looking a word up costs a fraction of calling the enum."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

JOB_WIDTH = 21
"""Columns of ``queries.JOBS``."""


def to_json(value: Mapping[str, Any]) -> str:
    """Compact, readable JSON text."""
    return _ENCODER.encode(value)


def list_to_json(values: Sequence[str]) -> str:
    """A JSON array of texts."""
    return _ENCODER.encode(list(values))


def spec_to_json(spec: JobSpec) -> str:
    """A spec as JSON text; ``places`` is left behind, the output path becomes text."""
    return to_json(
        {
            "job_id": spec.job_id,
            "avatar_kind": spec.avatar_kind,
            "avatar": spec.avatar,
            "audio_kind": spec.audio_kind,
            "audio": spec.audio,
            "output": str(spec.output),
            "mode": spec.mode,
            "voice": spec.voice,
            "speed": spec.speed,
            "caption": spec.caption,
            "save_avatar": spec.save_avatar,
            "priority": spec.priority,
            "tags": spec.tags,
        }
    )


def spec_from_json(text: str) -> JobSpec:
    """The inverse of :func:`spec_to_json`."""
    values = json.loads(text)
    values["avatar_kind"] = AvatarKind(values["avatar_kind"])
    values["audio_kind"] = AudioKind(values["audio_kind"])
    values["mode"] = Mode(values["mode"])
    values["output"] = Path(values["output"])
    values["tags"] = tuple(values["tags"])
    return JobSpec(**values)


def job(row: Row, spec: JobSpec | None = None) -> Job:
    """A job from a row of ``queries.JOBS``; ``spec`` saves reading it again, where it is known."""
    return Job(
        key=row[0],
        job_id=row[1],
        state=_STATES[row[2]],
        version=row[3],
        spec=spec_from_json(row[4]) if spec is None else spec,
        revision=row[5],
        avatar_hash=row[6],
        audio_hash=row[7],
        audio_s=row[8],
        attempts=row[9],
        attempt=row[10],
        revised=bool(row[11]),
        orphan=bool(row[12]),
        selected=bool(row[13]),
        reason=row[14],
        message=row[15],
        credits=row[16],
        task_id=row[17],
        accepted_at=row[18],
        overdue=bool(row[19]),
        made=row[20],
    )


def attempt(row: Row) -> Attempt:
    """An attempt from a row of ``queries.ATTEMPT``."""
    return Attempt(
        key=row[0],
        job=row[1],
        number=row[2],
        revision=row[3],
        token=row[4],
        started_at=row[5],
        video_file_id=row[6],
        image_file_id=row[7],
        audio_file_id=row[8],
        verdict=None if row[9] is None else Verdict(row[9]),
        task_id=row[10],
        accepted_at=row[11],
        ended_at=row[12],
        overdue=bool(row[13]),
    )


def known(row: Row) -> Known:
    """A light record from a row of ``queries.KNOWN``."""
    return Known(
        key=row[0],
        job_id=row[1],
        state=_STATES[row[2]],
        version=row[3],
        revision=row[4],
        waiting_revision=row[5],
        wire=row[6],
        output=row[7],
        output_bytes=row[8],
        orphan=bool(row[9]),
        accepted_at=row[10],
        task_id=row[11],
        task_ended_badly=bool(row[12]),
        doubt_open=bool(row[13]),
    )


def job_row(row: Row) -> JobRow:
    """A report's line from a row of ``queries.JOB_ROWS``."""
    return JobRow(
        key=row[0],
        job_id=row[1],
        state=State(row[2]),
        task_id=row[3],
        output=row[4],
        output_bytes=row[5],
        attempts=row[6],
        credits=row[7],
        reason=row[8],
        message=row[9],
        overdue=bool(row[10]),
        orphan=bool(row[11]),
        selected=bool(row[12]),
        tags=tuple(json.loads(row[13])),
        priority=row[14],
        updated_at=row[15],
        data=json.loads(row[16]),
    )


def stored_event(row: Row) -> StoredEvent:
    """An event from a row of ``queries.EVENTS``."""
    return StoredEvent(
        job_id=row[0],
        before=State(row[1]),
        after=State(row[2]),
        attempt=row[3],
        event=Event(
            kind=EventKind(row[4]),
            at=row[5],
            reason=row[6],
            message=row[7],
            task_id=row[8],
            data=json.loads(row[9]),
        ),
    )


def batch(row: Row) -> BatchRow:
    """A batch from a row of ``queries.BATCHES``."""
    return BatchRow(
        key=row[0], name=row[1], account=row[2], manifest=Path(row[3]), created_at=row[4]
    )


def run(row: Row) -> RunRow:
    """A run from a row of ``queries.LAST_RUN``."""
    owner = Owner(pid=row[2], host=row[3], boot_id=row[4], started_at=row[5])
    return RunRow(key=row[0], batch=row[1], owner=owner, ended_at=row[6], exit_code=row[7])


def asset(row: Row) -> Asset:
    """An asset from a row of ``queries.ASSET``."""
    return Asset(content_hash=row[0], format=row[1], size_bytes=row[2], file_id=row[3])


def charge(row: Row) -> Charge:
    """A charge from a row of ``money_queries.UNCLAIMED``."""
    return Charge(task_id=row[0], credits=row[1], charged_at=row[2])


def stranger(row: Row) -> Stranger:
    """A stranger from a row of ``money_queries.STRANGERS``."""
    return Stranger(task_id=row[0], charged_at=row[1], video_file_id=row[2], audio_file_id=row[3])


def cost_kind(mode: Mode, audio_kind: AudioKind) -> str:
    """The kind of an attempt as its row names it, e.g. "avatar1/text"."""
    return f"{mode}/{audio_kind}"


def cost(row: Row) -> Cost:
    """A cost from a row of ``money_queries.COSTS``."""
    mode, _, audio_kind = row[0].partition("/")
    return Cost(mode=mode, audio_kind=audio_kind, units=row[1], credits=row[2])


def facts(row: Row) -> MediaFacts:
    """Facts of a file from a row of ``queries.FILE``."""
    return MediaFacts(
        path=row[0],
        size_bytes=row[1],
        content_hash=row[2],
        format=row[3],
        duration_s=row[4],
        has_video=bool(row[5]),
        has_audio=bool(row[6]),
    )


def stamp_values(stamp: FileStamp) -> Row:
    """A stamp as the columns path, size_bytes, mtime_ns, inode, ctime_ns."""
    return (stamp.path, stamp.size_bytes, stamp.mtime_ns, str(stamp.inode), stamp.ctime_ns)


def file_values(stamp: FileStamp, known: MediaFacts) -> Row:
    """A stamp and its facts as the columns of ``queries.REMEMBER_FILE``."""
    what = (known.content_hash, known.format, known.duration_s)
    return (*stamp_values(stamp), *what, int(known.has_video), int(known.has_audio))
