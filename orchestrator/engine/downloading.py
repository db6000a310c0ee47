"""Download: bring a paid video home, whole, and never over another paid one."""

from __future__ import annotations

from pathlib import Path

from orchestrator.core.outage import Stop
from orchestrator.core.outcome import TaskFate, TaskView, judge_query
from orchestrator.engine.desk import Desk
from orchestrator.engine.floor import Floor
from orchestrator.engine.ports import Order
from orchestrator.engine.progress import Level
from orchestrator.errors import DownloadError
from orchestrator.model import AudioKind, Event, EventKind, Job

BAD_VIDEOS = 3
"""A video that arrives whole but is none is fetched this often before the job fails."""
DEAD_LINKS = 3
"""A fresh link that is refused is replaced this often before the job fails."""
NO_LINK_WAIT_S = 10.0
"""Seconds before a task that names no video is asked about again (scaled)."""
DISK_FULL_PAUSE_S = 30.0


async def download(job: Job, floor: Floor) -> None:
    """Fetch and verify one finished video; the job is done when it has its final name."""
    floor.downloading.add(job.key)
    try:
        link = floor.windows.links.pop(job.key, None)
        if link is None:
            view = await _ask_link(job, floor)
            if view.url is None:
                await _no_link(job, view, floor)
                return
            link = view.url
        await _fetch(job, link, floor)
    finally:
        floor.windows.end(job.key)
        floor.downloading.discard(job.key)


async def _ask_link(job: Job, floor: Floor) -> TaskView:
    """Signed links live in memory only, and not for ever: the task is asked for a fresh one."""
    desk, task_id = floor.desk, job.task_id
    assert task_id is not None
    await desk.until_open(desk.api)
    answer, _ = await desk.ask(lambda: desk.ports.vendor.query(task_id))
    return judge_query(answer, task_id)


async def _no_link(job: Job, view: TaskView, floor: Floor) -> None:
    if view.fate is TaskFate.AUTH:
        floor.stop(Stop.AUTH, view.message)
    gone = view.fate in (TaskFate.UNKNOWN_TASK, TaskFate.FAILED, TaskFate.NO_URL)
    if gone and floor.trouble(job) >= DEAD_LINKS:
        await _give_up(job, "download:gone", f"the video is gone: {view.message}", floor)
        return
    await floor.desk.ports.clock.sleep(NO_LINK_WAIT_S * floor.desk.scale)
    floor.windows.put_rendered(job, None)


async def _fetch(job: Job, link: str, floor: Floor) -> None:
    desk = floor.desk
    try:
        fetched = await desk.ports.fetcher.fetch(link, _order(job, desk))
    except DownloadError as error:
        await _not_fetched(job, link, error, floor)
        return
    desk.note(desk.cdn, silent=False)
    facts = {"bytes": fetched.size_bytes, "seconds": fetched.duration_s}
    after = await floor.move(job, Event(kind=EventKind.DOWNLOADED, at=desk.wall(), data=facts))
    floor.settled(job.key)
    floor.succeeded(EventKind.DOWNLOAD_FAILED)
    if fetched.kept is not None:
        floor.tell(Level.INFO, f"the file that was there is kept as {fetched.kept}", job)
    await floor.file(after)


async def _not_fetched(job: Job, link: str, error: DownloadError, floor: Floor) -> None:
    desk = floor.desk
    if error.disk_full:
        floor.disk_full_until = desk.now() + DISK_FULL_PAUSE_S
        floor.tell(Level.PROBLEM, f"downloads wait for the disk: {error}", job)
        floor.windows.put_rendered(job, link)
    elif error.bad_content and floor.trouble(job) >= BAD_VIDEOS:
        await _give_up(job, "download:bad", str(error), floor)
    elif error.link_dead and floor.trouble(job) >= DEAD_LINKS:
        await _give_up(job, "download:link", str(error), floor)
    elif error.bad_content or error.link_dead:
        floor.windows.put_rendered(job, None)
    else:
        desk.note(desk.cdn, silent=True, why=str(error))
        floor.windows.put_rendered(job, link)


async def _give_up(job: Job, reason: str, message: str, floor: Floor) -> None:
    event = Event(
        kind=EventKind.DOWNLOAD_FAILED, at=floor.desk.wall(), reason=reason, message=message
    )
    await floor.file(await floor.move(job, event))


def _order(job: Job, desk: Desk) -> Order:
    """What the download has to bring, and where an older file goes."""
    return Order(
        output=job.spec.output,
        verify=desk.settings.verify,
        keep_as=_keep_as(job, desk),
        duration_s=job.audio_s if job.spec.audio_kind is AudioKind.FILE else None,
    )


def _keep_as(job: Job, desk: Desk) -> Path | None:
    """The name that an older file at the output path gets: a paid video is never overwritten."""
    output = job.spec.output
    if job.made is not None and job.made != job.revision:
        return output.with_name(f"{output.stem}.{job.made[:8]}{output.suffix}")
    if desk.overwrite:
        return None
    return output.with_name(f"{output.stem}.kept{output.suffix}")
