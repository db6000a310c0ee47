"""What each call of the API answers: from checked parameters to the envelope's result."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import gmtime, strftime
from typing import Any

from orchestrator.emulator import catalog, signing
from orchestrator.emulator.accounts import Account, parse_time
from orchestrator.emulator.desk import Desk
from orchestrator.emulator.faultplan import Subject
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.knowledge import AccountKnowledge
from orchestrator.emulator.paging import choice, page, paging
from orchestrator.emulator.shelf import Upload
from orchestrator.emulator.store import update
from orchestrator.emulator.tasks import Task
from orchestrator.emulator.validate import FORMATS, Refusal, Rules, flag, parse_submit
from orchestrator.emulator.video import Unusable

RENDER_PATIENCE_S = 2.0
"""How long a query waits for a video that is being made before it says ``running`` again."""
_YEAR_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call with good credentials. ``fault`` is one that changes the answer's content."""

    desk: Desk
    account: Account
    query: Mapping[str, str]
    body: Mapping[str, Any]
    subject: Subject
    ids: tuple[str, ...] = ()
    fault: Fault | None = None

    @property
    def now(self) -> float:
        """The vendor's clock."""
        return self.desk.now()

    def need(self, key: str) -> str:
        """A query parameter.

        Raises:
            Refusal: 4003 if it is missing or empty.
        """
        value = self.query.get(key)
        if not value:
            raise Refusal("4003", f"{key} cannot be null")
        return value

    def struck_by(self, kind: str) -> bool:
        """Whether the call meets this fault."""
        return self.fault is not None and self.fault.do == kind


Handler = Callable[[Call], Awaitable[Any]]


async def credential(call: Call) -> Any:
    """GET /v1/upload/credential."""
    format = call.need("format")
    flag("needAccelerateUrl", call.query.get("needAccelerateUrl"))
    if format not in FORMATS:
        raise Refusal("4000", f"format must be one of {', '.join(sorted(FORMATS))}")
    now = call.now
    upload = call.desk.world.new_upload(call.account.uid, format, now)
    target = upload.target
    if call.struck_by("dead_link"):
        target = _dead_target(call.desk, upload, now)
    return {
        "fileId": upload.file_id,
        "fileName": f"{upload.file_id}.{format}",
        "format": format,
        "uploadUrl": call.desk.store_url + target,
    }


def _dead_target(desk: Desk, upload: Upload, now: float) -> str:
    ends = now - 1.0
    return signing.upload_target(desk.world.secret, upload.file_id, upload.format, ends, ends)


async def check(call: Call) -> Any:
    """GET /v1/upload/check."""
    file_id = call.need("fileId")
    if call.struck_by("not_there"):
        return False
    return call.desk.world.check(call.account.uid, file_id)


async def submit(call: Call) -> Any:
    """POST /v1/video_avatar/task/submit."""
    desk, config = call.desk, call.desk.config
    rules = Rules(
        mode_2=config.mode_2,
        caption_elsewhere=config.caption_elsewhere,
        unusable_file=config.unusable_file,
    )
    known = AccountKnowledge(desk.world, call.account)
    order = parse_submit(call.body, known, rules)
    fault = desk.fault("task", call.subject)
    task = desk.world.submit(call.account.uid, order, call.now, fault)
    result = {"taskId": task.task_id, "status": config.submit_status, "errorMsg": None}
    return result | ({"noticeUuid": task.notice_uuid} if task.notice_uuid else {})


async def query(call: Call) -> Any:
    """GET /v1/video_avatar/task/query."""
    desk = call.desk
    cloudfront = flag("needCloudFrontUrl", call.query.get("needCloudFrontUrl"))
    task = desk.world.tasks.get(call.need("taskId"))
    if task is None or task.uid != call.account.uid:
        raise Refusal("4004", "task not found")
    if task.asking:
        desk.witness.add("overlapping_queries")
    if task.end_told:
        desk.witness.add("queries_after_end")
    task.asking += 1
    try:
        return await _task_result(call, task, cloudfront=cloudfront)
    finally:
        task.asking -= 1


async def _task_result(call: Call, task: Task, *, cloudfront: bool) -> dict[str, Any]:
    desk = call.desk
    desk.world.settle(call.now)
    await _be_ready(desk, task)
    status = desk.world.status(task, call.now)
    if status == "success" and not _made(desk, task):
        status = "running"
    if call.struck_by("unknown_status"):
        status = (call.fault.word if call.fault else None) or "hibernating"
    result = task_view(desk, task, status, cloudfront=cloudfront, dead=call.struck_by("dead_link"))
    if call.struck_by("no_url"):
        result["outputVideoUrl"] = None
    elif status in {"success", task.fail_word} and not task.end_told:
        task.end_told = True
        desk.store.note(update("tasks", "number", task.number, end_told=1))
    return result


async def _be_ready(desk: Desk, task: Task) -> None:
    """Have the video made, or find out that it cannot be, before success is told."""
    if desk.world.status(task, desk.now()) != "success":
        return
    try:
        await desk.studio.within(desk.world.recipe(task), RENDER_PATIENCE_S)
    except Unusable as error:
        desk.world.fail_late(task, str(error))


def _made(desk: Desk, task: Task) -> bool:
    return desk.studio.has(desk.world.recipe(task))


def task_view(
    desk: Desk, task: Task, status: str, *, cloudfront: bool = False, dead: bool = False
) -> dict[str, Any]:
    """The task as a query shows it; on success with a freshly signed link (``dead``: one that
    has expired already)."""
    body, config = task.body, desk.config
    picture = body.get("imageFileId") if config.show_image_file_id else None
    result: dict[str, Any] = {
        "taskId": task.task_id,
        "status": status,
        "errorMsg": task.error if status == task.fail_word else None,
        "inputVideoFileId": body.get("videoFileId") or picture,
        "inputAudioFileId": body.get("audioFileId"),
        "outputVideoUrl": None,
    }
    if status == "success":
        ends = desk.now() + (-1.0 if dead else config.link_life_s(config.result_link_s))
        result["outputVideoUrl"] = _link(desk, task, ends, cloudfront=cloudfront)
    if config.show_cost:
        result["costCredit"] = task.cost if status == "success" else None
    return result


def _link(desk: Desk, task: Task, ends: float, *, cloudfront: bool) -> str:
    secret = desk.world.secret
    if cloudfront:
        return desk.cdn_url + signing.cdn_target(secret, task.task_id, ends)
    return desk.store_url + signing.s3_target(secret, task.task_id, min(desk.now(), ends), ends)


async def avatars(call: Call) -> Any:
    """GET /v1/aiavatar/query."""
    number, size = paging(call.query)
    custom = flag("isCustom", call.query.get("isCustom"))
    gender = choice(call.query, "gender", catalog.GENDERS)
    by = choice(call.query, "sortField", ("createTime", "sort"))
    order = choice(call.query, "sortType", ("asc", "desc"))
    call.desk.world.settle(call.now)
    found = list((call.account.avatars if custom else catalog.PUBLIC).values())
    wanted = {e for e in call.query.get("ethnicityIdList", "").split(",") if e}
    items = [
        a
        for a in found
        if (gender is None or a.gender == gender)
        and (not wanted or (a.ethnicity is not None and f"e{a.ethnicity + 1}" in wanted))
    ]
    if by is not None:
        items.sort(key=lambda a: a.created_at if by == "createTime" else a.sort)
    if order == "desc":
        items.reverse()
    return page([a.item(call.desk.cdn_url) for a in items], number, size)


async def ethnicities(call: Call) -> Any:
    """GET /v1/ethnicity/list."""
    call.need("scene")
    choice(call.query, "scene", catalog.SCENES)
    items = list(catalog.ETHNICITIES)
    if call.desk.config.ethnicity_shape == "list":
        return items
    return page(items, *paging(call.query))


_VOICE_FILTERS = {
    "language": ("bestSupportLanguage", catalog.LANGUAGES),
    "gender": ("gender", catalog.GENDERS),
    "age": ("age", catalog.AGES),
    "style": ("style", catalog.STYLES),
    "accent": ("accent", None),
}


async def voices(call: Call) -> Any:
    """GET /v1/voice/query."""
    number, size = paging(call.query)
    custom = flag("isCustom", call.query.get("isCustom"))
    items = [] if custom else catalog.voices(call.desk.cdn_url)
    for key, (field, allowed) in _VOICE_FILTERS.items():
        wanted = choice(call.query, key, allowed)
        items = [v for v in items if wanted is None or v[field] == wanted]
    name = call.query.get("voiceName", "").lower()
    return page([v for v in items if name in v["voiceName"].lower()], number, size)


async def captions(call: Call) -> Any:
    """GET /v1/caption/list."""
    return catalog.captions(call.desk.cdn_url)


async def notice_check(call: Call) -> Any:
    """POST /notice/notice_url/check."""
    address = call.body.get("noticeUrl")
    if not address:
        raise Refusal("4003", "noticeUrl cannot be null")
    if not isinstance(address, str) or not address.startswith(("http://", "https://")):
        raise Refusal("4000", "noticeUrl must be an http or https address")
    return True


async def credit(call: Call) -> Any:
    """GET /user/credit/detail."""
    world, account = call.desk.world, call.account
    world.settle(call.now)
    return {
        "uid": account.uid,
        "remainCredit": call.desk.config.balance - account.spent,
        "expiredTime": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(call.now + _YEAR_S)),
        "apiKeyMap": {"default": account.key},
    }


async def credit_logs(call: Call) -> Any:
    """GET /user/credit/logs."""
    number, size = paging(call.query)
    start = parse_time("startTime", call.query.get("startTime"))
    end = parse_time("endTime", call.query.get("endTime"))
    if start is not None and end is not None and start > end:
        raise Refusal("4000", "startTime must not be after endTime")
    call.desk.world.settle(call.now)
    entries = call.account.log(call.query.get("taskType") or None, start, end)
    return page([call.account.show(e) for e in entries], number, size)


ROUTES: Mapping[str, tuple[str, str, Handler]] = {
    "/v1/upload/credential": ("GET", "credential", credential),
    "/v1/upload/check": ("GET", "check", check),
    "/v1/video_avatar/task/submit": ("POST", "submit", submit),
    "/v1/video_avatar/task/query": ("GET", "query", query),
    "/v1/aiavatar/query": ("GET", "avatars", avatars),
    "/v1/ethnicity/list": ("GET", "ethnicities", ethnicities),
    "/v1/voice/query": ("GET", "voices", voices),
    "/v1/caption/list": ("GET", "captions", captions),
    "/notice/notice_url/check": ("POST", "notice_check", notice_check),
    "/user/credit/detail": ("GET", "credit", credit),
    "/user/credit/logs": ("GET", "credit_logs", credit_logs),
}
"""Path to method, endpoint name (as faults and audit call it) and handler."""


def parse_body(data: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of a POST.

    Raises:
        Refusal: 4001 if it is none.
    """
    if content_type != "application/json":
        raise Refusal("4001", "Content-Type must be application/json")
    try:
        body = json.loads(data)
    except ValueError as error:
        raise Refusal("4001", "the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise Refusal("4001", "the body must be a JSON object")
    return body
