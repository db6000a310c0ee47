"""Upload: one asset, by content hash, for however many jobs need it. Costs nothing to repeat."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.core.outage import STOPS, Stop
from orchestrator.core.outcome import SUBMIT_CODES, CallFate, CallVerdict, PutFate, judge_put
from orchestrator.engine.desk import Desk
from orchestrator.engine.floor import Floor
from orchestrator.engine.ports import Source
from orchestrator.errors import MediaError, StaleJob
from orchestrator.model import Answer, ContentHash, Event, EventKind, FileId, Job
from orchestrator.store.base import Asset
from orchestrator.topview import wire


async def upload(content: ContentHash, floor: Floor) -> None:
    """Bring one asset to the vendor, remember its file id, tell the jobs that wait for it."""
    floor.uploading.add(content)
    try:
        needing = floor.windows.needing(content)
        asset = floor.windows.asset(content)
        if needing and asset is not None:
            await _upload(needing[0], asset, floor)
    finally:
        floor.uploading.discard(content)


async def _upload(job: Job, asset: Asset, floor: Floor) -> None:
    result = await bring(source_of(job, asset), floor.desk)
    match result:
        case Uploaded(file_id=file_id):
            with floor.unbroken():
                await _uploaded(replace(asset, file_id=file_id), floor)
        case NotUploaded(stop=Stop() as stop, message=message):
            floor.stop(stop, f"{message}: nothing more is submitted")
        case NotUploaded():
            await _failed(job, asset.content_hash, result, floor)


async def _uploaded(asset: Asset, floor: Floor) -> None:
    desk = floor.desk
    await desk.store.asset_uploaded(desk.batch.account, asset, desk.wall())
    floor.tally.uploaded += 1
    floor.succeeded(EventKind.UPLOAD_FAILED)
    floor.windows.uploaded(asset.content_hash)


async def _failed(job: Job, content: ContentHash, result: NotUploaded, floor: Floor) -> None:
    """The job whose file it was fails; others may have the same bytes under another path."""
    path = job.spec.avatar if content == job.avatar_hash else job.spec.audio
    event = Event(
        kind=EventKind.UPLOAD_FAILED,
        at=floor.desk.wall(),
        reason=result.reason,
        message=f"{path}: {result.message}",
    )
    floor.windows.begin(job.key)
    try:
        await floor.file(await floor.move(job, event))
    except StaleJob:
        floor.windows.end(job.key)
        floor.windows.drop(job)
        raise


async def promote(job: Job, floor: Floor) -> None:
    """Every asset of the job has its file id: it is ready."""
    floor.promoting.add(job.key)
    try:
        event = Event(kind=EventKind.ASSETS_LIVE, at=floor.desk.wall())
        await floor.file(await floor.move(job, event))
    except StaleJob:
        floor.windows.end(job.key)
        floor.windows.drop(job)
    finally:
        floor.promoting.discard(job.key)


CHECK_WAIT_S = 1.0
CHECKS = 30
"""The vendor may need a while to see an uploaded file: asked every second, 30 times (scaled)."""
LINKS = 3
"""A refused upload link is replaced by a new one twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """The file is at the vendor."""

    file_id: FileId


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUploaded:
    """The file cannot be uploaded. ``stop``: the account is the reason, not the file, and the
    run has to end."""

    reason: str
    message: str
    stop: Stop | None = None


async def bring(source: Source, desk: Desk) -> Uploaded | NotUploaded:
    """Bring one file to the vendor: credential, PUT, check. Waits out outages; costs nothing."""
    last = NotUploaded(reason="upload:link", message="the upload link was refused three times")
    for _ in range(LINKS):
        ticket = await _credential(source, desk)
        if isinstance(ticket, NotUploaded):
            return ticket
        refused = await _put(ticket.upload_url, source, desk)
        if isinstance(refused, NotUploaded):
            return refused
        if refused:
            continue
        visible = await _visible(ticket.file_id, desk)
        if isinstance(visible, NotUploaded):
            return visible
        if visible:
            return Uploaded(file_id=ticket.file_id)
        last = NotUploaded(
            reason="upload:check", message="the vendor does not see the file after its upload"
        )
    return last


async def _credential(source: Source, desk: Desk) -> wire.Credential | NotUploaded:
    while True:
        await desk.until_open(desk.api)
        answer, verdict = await desk.ask(lambda: desk.ports.vendor.credential(source.format))
        ticket = wire.parse_credential(answer) if verdict.fate is CallFate.OK else None
        if ticket is not None:
            return ticket
        match verdict.fate:
            case CallFate.AUTH | CallFate.PERMANENT:
                return _refused(answer, verdict)
            case CallFate.OK:  # a success that names no file: odd, and free to ask again
                desk.note(desk.api, silent=True)
            case CallFate.RETRY:
                pass


def _refused(answer: Answer, verdict: CallVerdict) -> NotUploaded:
    """A refusal that no repeating will change."""
    stop = None
    if verdict.fate is CallFate.AUTH:
        stop = Stop.AUTH
    elif answer.code is not None and answer.code in SUBMIT_CODES:
        stop = STOPS.get(SUBMIT_CODES[answer.code][0])
    return NotUploaded(reason=verdict.reason, message=verdict.message, stop=stop)


async def _put(url: str, source: Source, desk: Desk) -> bool | NotUploaded:
    """False: the bytes are there. True: the link was refused, a new one may help."""
    while True:
        await desk.until_open(desk.objects)
        try:
            answer = await desk.ports.vendor.put(url, source)
        except MediaError as error:
            return NotUploaded(reason="file", message=f"{error.problem}; {error.remedy}")
        verdict = judge_put(answer)
        silent = verdict.fate is PutFate.RETRY
        desk.note(
            desk.objects, silent=silent, retry_after_s=verdict.retry_after_s, why=verdict.message
        )
        match verdict.fate:
            case PutFate.OK:
                return False
            case PutFate.NEW_LINK:
                return True
            case PutFate.PERMANENT:
                return NotUploaded(reason=f"put:{verdict.reason}", message=verdict.message)
            case PutFate.RETRY:
                pass


async def _visible(file_id: FileId, desk: Desk) -> bool | NotUploaded:
    """Whether the vendor sees the file, asked until it does or patience ends."""
    for turn in range(CHECKS):
        if turn:
            await desk.ports.clock.sleep(CHECK_WAIT_S * desk.scale)
        await desk.until_open(desk.api)
        answer, verdict = await desk.ask(lambda: desk.ports.vendor.check(file_id))
        if verdict.fate is CallFate.AUTH:
            return _refused(answer, verdict)
        if wire.check_result(answer):
            return True
    return False


def source_of(job: Job, asset: Asset) -> Source:
    """What is to be uploaded for a job: the file at its path, as it was planned."""
    path = job.spec.avatar if asset.content_hash == job.avatar_hash else job.spec.audio
    return Source(
        path=path,
        size_bytes=asset.size_bytes,
        content_hash=asset.content_hash,
        format=asset.format,
    )
