"""Rows and subjects for the tests of reports and exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

from orchestrator.model import AccountKey, BatchKey, JobId, JobKey, RunKey, State, TaskId
from orchestrator.report.gallery import Subject
from orchestrator.store.base import BatchRow, JobRow, Owner, RunRow

NOON = 1_750_000_000.0
HOME = Path("/project")
BATCH = BatchRow(
    key=BatchKey(1),
    name="spring",
    account=AccountKey(1),
    manifest=HOME / "jobs.yaml",
    created_at=NOON - 100,
)


def job_row(job_id: str, state: State = State.DONE, **more: Any) -> JobRow:
    """A job as the store shows it; a done one has a file of 1.5 MB that lasts 42 s."""
    done = state is State.DONE
    fixed: dict[str, Any] = {
        "key": JobKey(1),
        "task_id": TaskId(f"task-of-{job_id}"),
        "output": str(HOME / "out" / "spring" / f"{job_id}.mp4"),
        "output_bytes": 1_500_000 if done else None,
        "attempts": 1,
        "credits": 1.0 if done else None,
        "reason": "",
        "message": "",
        "overdue": False,
        "orphan": False,
        "selected": True,
        "updated_at": NOON + 60,
        "data": {"bytes": 1_500_000, "seconds": 42.0} if done else {},
    }
    return JobRow(job_id=JobId(job_id), state=state, **{**fixed, **more})


def run_row(**more: Any) -> RunRow:
    """A run that took two hours and ended well."""
    owner = Owner(pid=4711, host="studio", boot_id="boot", started_at=NOON)
    fixed: dict[str, Any] = {"ended_at": NOON + 7_200, "exit_code": 0}
    return RunRow(key=RunKey(1), batch=BATCH.key, owner=owner, **{**fixed, **more})


def subject(*rows: JobRow, **more: Any) -> Subject:
    """A page about these jobs, without any file."""
    fixed: dict[str, Any] = {
        "batch": BATCH,
        "last": run_row(),
        "running": None,
        "rehearsal": False,
        "videos": {},
        "posters_in_all": 500,
        "without_poster": 0,
        "now": NOON + 9_000,
    }
    return Subject(rows=rows, **{**fixed, **more})


def small_video(path: Path, *, width: int = 96, height: int = 64, frames: int = 20) -> Path:
    """A video of two seconds: black at first, then a bright noise that is hard to compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, black in zip(frame.planes, (16, 128, 128), strict=True):
                size = plane.buffer_size
                noise = bytes((i * i * 31 + i // 7 + number) % 200 + 30 for i in range(size))
                plane.update(noise if number > 2 else bytes([black]) * size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
