"""Every fault does what it says, where it says, as often as it says; wrong ones are explained."""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from emulator_support import (
    HEADERS,
    SUBMIT,
    TTS_BODY,
    Client,
    FakeClock,
    eventually,
    make_wav,
    running,
)
from yarl import URL

from orchestrator.emulator.faultplan import FaultPlan, Subject
from orchestrator.emulator.faults import (
    Fault,
    Faults,
    FaultsError,
    fault,
    load_faults,
    parse_faults,
)
from orchestrator.emulator.faults_used import used_up
from orchestrator.emulator.kinds import API_ENDPOINTS, KINDS
from orchestrator.emulator.server import DATABASE, Emulator
from orchestrator.emulator.store import Store, insert

Lost = (aiohttp.ClientError, ConnectionError, TimeoutError)


async def raw_submit(client: Client, wait_s: float = 5.0) -> tuple[int, bytes, Any]:
    """Submit once, with nothing that repeats or parses: status, body, headers."""
    url = client.base_url + SUBMIT
    timeout = aiohttp.ClientTimeout(total=wait_s)
    async with client.session.post(
        url, json=TTS_BODY, headers=HEADERS, timeout=timeout, allow_redirects=False
    ) as reply:
        return reply.status, await reply.read(), reply.headers


@pytest.mark.parametrize(
    ("rule", "tasks"),
    [
        (fault("submit", "drop_before"), 0),
        (fault("submit", "drop_before", reset=True), 0),
        (fault("submit", "drop_after"), 1),
        (fault("submit", "drop_after", reset=True), 1),
        (fault("submit", "drop_mid_body"), 1),
        (fault("submit", "drop_mid_body", reset=True), 1),
        (fault("submit", "drop_mid_body", effect=False), 0),
        (fault("submit", "stall"), 1),
        (fault("submit", "stall", effect=False), 0),
        (fault("submit", "slow_bytes"), 1),
        (fault("submit", "garbage"), 1),
    ],
)
async def test_a_lost_reply_leaves_the_task_made_or_not(
    tmp_path: Path, rule: Fault, tasks: int
) -> None:
    async with running(tmp_path, rule) as (emulator, client):
        with pytest.raises(Lost):
            await raw_submit(client, wait_s=0.8)
        audit = emulator.audit()
    assert (audit.submits, audit.accepted, audit.lost_replies) == (1, tasks, tasks)
    assert audit.without_effect == 1 - tasks
    assert audit.faults == {f"{rule.do}@submit": 1}


def _json(body: bytes) -> Any:
    return json.loads(body)


SPOILT: list[tuple[Fault, int, int, Callable[[bytes], bool]]] = [
    (fault("submit", "status", status=503), 503, 0, lambda b: _json(b)["status"] == 503),
    (fault("submit", "status", status=500, effect=True), 500, 1, lambda b: b"taskId" not in b),
    (fault("submit", "status", status=502, body="html"), 502, 0, lambda b: b"<html>" in b),
    (fault("submit", "status", status=504, body="xml"), 504, 0, lambda b: b"<Error>" in b),
    (fault("submit", "status", status=403, body="empty"), 403, 0, lambda b: b == b""),
    (fault("submit", "html"), 200, 1, lambda b: b.startswith(b"<html>")),
    (fault("submit", "html", effect=False), 200, 0, lambda b: b.startswith(b"<html>")),
    (fault("submit", "empty_body"), 200, 1, lambda b: b == b""),
    (fault("submit", "truncated_json"), 200, 1, lambda b: 0 < len(b) < 100 and b[-1:] != b"}"),
    (
        fault("submit", "wrong_types"),
        200,
        1,
        lambda b: isinstance(_json(b)["result"]["taskId"], list),
    ),
    (fault("submit", "missing_fields"), 200, 1, lambda b: _json(b)["result"] == {}),
    (
        fault("submit", "missing_fields", fields="taskId"),
        200,
        1,
        lambda b: sorted(_json(b)["result"]) == ["errorMsg", "status"],
    ),
    (fault("submit", "integer_code"), 200, 1, lambda b: _json(b)["code"] == 200),
    (fault("submit", "code", code="4007"), 200, 0, lambda b: _json(b)["code"] == "4007"),
    (fault("submit", "code", code=5000, effect=True), 200, 1, lambda b: _json(b)["code"] == "5000"),
    (
        fault("submit", "code", code="6001", message="no"),
        200,
        0,
        lambda b: _json(b) == {"code": "6001", "message": "no", "result": None},
    ),
    (
        fault("submit", "huge_body", size_bytes=3_000_000),
        200,
        1,
        lambda b: len(b) > 3_000_000 and _json(b)["code"] == "200",
    ),
]


@pytest.mark.parametrize(("rule", "status", "tasks", "looks_right"), SPOILT)
async def test_a_spoilt_reply_leaves_the_task_made_or_not(
    tmp_path: Path, rule: Fault, status: int, tasks: int, looks_right: Callable[[bytes], bool]
) -> None:
    async with running(tmp_path, rule) as (emulator, client):
        found, body, _ = await raw_submit(client)
        audit = emulator.audit()
    assert (found, audit.accepted) == (status, tasks)
    assert looks_right(body), body[:200]


async def test_a_redirect_points_where_it_is_told(tmp_path: Path) -> None:
    rule = fault("submit", "status", status=307, location="http://127.0.0.1:9/x")
    async with running(tmp_path, rule) as (_, client):
        status, _, headers = await raw_submit(client)
    assert (status, headers["Location"]) == (307, "http://127.0.0.1:9/x")


@pytest.mark.parametrize("do", ["status", "code"])
async def test_retry_after_comes_in_seconds_or_as_a_date_or_not_at_all(
    tmp_path: Path, do: str
) -> None:
    more = {"status": 429} if do == "status" else {"code": "5003"}
    rules = [fault("submit", do, nth=n, retry_after=w, **more) for n, w in ((1, 7), (1, "date"))]
    clock = FakeClock()
    async with running(tmp_path, *rules, fault("submit", do, **more), clock=clock) as (_, client):
        wishes = [(await raw_submit(client))[2].get("Retry-After") for _ in range(3)]
    assert wishes[0] == "7"
    assert email.utils.parsedate_to_datetime(wishes[1]).timestamp() == clock.at + 2
    assert wishes[2] is None


@pytest.mark.parametrize("endpoint", API_ENDPOINTS)
async def test_every_api_call_can_be_struck(tmp_path: Path, endpoint: str) -> None:
    calls: dict[str, Callable[[Client], Awaitable[Any]]] = {
        "credential": lambda c: c.get("/v1/upload/credential", format="mp4"),
        "check": lambda c: c.get("/v1/upload/check", fileId="x"),
        "submit": lambda c: c.submit(),
        "query": lambda c: c.get("/v1/video_avatar/task/query", taskId="x"),
        "avatars": lambda c: c.get("/v1/aiavatar/query"),
        "ethnicities": lambda c: c.get("/v1/ethnicity/list", scene="video_avatar"),
        "voices": lambda c: c.get("/v1/voice/query"),
        "captions": lambda c: c.get("/v1/caption/list"),
        "notice_check": lambda c: c.post("/notice/notice_url/check", {"noticeUrl": "http://a"}),
        "credit": lambda c: c.get("/user/credit/detail"),
        "credit_logs": lambda c: c.get("/user/credit/logs"),
    }
    rule = fault("any", "code", code="5005", limit=11)
    async with running(tmp_path, rule) as (emulator, client):
        assert (await calls[endpoint](client))["code"] == "5005"
        assert emulator.audit().requests == {endpoint: 1}


async def test_the_upload_check_says_false_a_few_times_for_each_file(tmp_path: Path) -> None:
    rule = fault("check", "not_there", first=2, per="job")
    async with running(tmp_path, rule) as (_, client):
        answers = []
        for _ in range(2):
            given = await client.credential("wav")
            await client.put(given["uploadUrl"], make_wav())
            for _ in range(3):
                check = await client.get("/v1/upload/check", fileId=given["fileId"])
                answers.append(check["result"])
    assert answers == [False, False, True] * 2


async def test_a_credential_may_be_dead_on_arrival(tmp_path: Path) -> None:
    async with running(tmp_path, fault("credential", "dead_link", nth=1)) as (_, client):
        dead, live = await client.credential("wav"), await client.credential("wav")
        assert (await client.put(dead["uploadUrl"], make_wav()))[0] == 403
        assert (await client.put(live["uploadUrl"], make_wav()))[0] == 200


@pytest.mark.parametrize(
    ("rule", "status", "stored"),
    [
        (fault("put", "expired"), 403, 0),
        (fault("put", "status", status=500), 500, 0),
        (fault("put", "status", status=503, effect=True), 503, 1),
        (fault("put", "drop_before"), None, 0),
        (fault("put", "drop_mid_body"), None, 0),
        (fault("put", "drop_after"), None, 1),
        (fault("put", "empty_body"), 200, 1),
    ],
)
async def test_a_put_goes_wrong_with_or_without_the_object_stored(
    tmp_path: Path, rule: Fault, status: int | None, stored: int
) -> None:
    async with running(tmp_path, rule) as (emulator, client):
        url = (await client.credential("wav"))["uploadUrl"]
        try:
            found: int | None = (await client.put(url, make_wav(4.0)))[0]
        except Lost:
            found = None
        audit = emulator.audit()
    # aiohttp repeats a PUT by itself when the connection is lost, so count contents, not PUTs.
    assert (found, len(audit.uploads)) == (status, stored)


async def test_a_finished_task_may_hide_its_link_for_a_while(tmp_path: Path) -> None:
    async with running(tmp_path, fault("query", "no_url", first=2)) as (_, client):
        task = await client.task()
        seen = [await client.query(task) for _ in range(3)]
    assert [(r["status"], r["outputVideoUrl"] is None) for r in seen] == [
        ("success", True),
        ("success", True),
        ("success", False),
    ]


async def test_an_unfinished_task_does_not_use_up_the_hidden_links(tmp_path: Path) -> None:
    clock = FakeClock()
    rule = fault("query", "no_url", first=1)
    async with running(tmp_path, rule, clock=clock, render="constant") as (_, client):
        task = await client.task()
        await client.query(task)
        clock.pass_s(200)
        links = [(await client.query(task))["outputVideoUrl"] is None for _ in range(2)]
    assert links == [True, False]


@pytest.mark.parametrize(("word", "said"), [(None, "hibernating"), ("queuing", "queuing")])
async def test_a_task_may_say_a_word_nobody_knows(
    tmp_path: Path, word: str | None, said: str
) -> None:
    rule = fault("query", "unknown_status", first=1, **({"word": word} if word else {}))
    async with running(tmp_path, rule) as (_, client):
        task = await client.task()
        first, second = await client.query(task), await client.query(task)
    assert (first["status"], first["outputVideoUrl"]) == (said, None)
    assert second["status"] == "success"


async def test_a_fresh_task_may_be_unknown_at_first(tmp_path: Path) -> None:
    rule = fault("query", "code", code="4004", first=2, per="job")
    async with running(tmp_path, rule) as (_, client):
        task = await client.task()
        codes = [
            (await client.get("/v1/video_avatar/task/query", taskId=task))["code"] for _ in range(3)
        ]
    assert codes == ["4004", "4004", "200"]


@pytest.mark.parametrize(
    ("rule", "status", "message"),
    [
        (fault("task", "fail"), "fail", None),
        (
            fault("task", "fail", message="Model service unavailable"),
            "fail",
            "Model service unavailable",
        ),
        (fault("task", "fail", word="failed"), "failed", None),
    ],
)
async def test_a_task_may_fail(
    tmp_path: Path, rule: Fault, status: str, message: str | None
) -> None:
    async with running(tmp_path, rule) as (_, client):
        result = await client.finished(await client.task())
    assert (result["status"], result["errorMsg"], result["outputVideoUrl"]) == (
        status,
        message,
        None,
    )


async def test_a_task_may_be_slow(tmp_path: Path) -> None:
    clock = FakeClock()
    rule = fault("task", "slow", factor=3, match={"text": "slow"})
    settings = {"render": "constant", "render_mean_s": 100.0}
    async with running(tmp_path, rule, clock=clock, **settings) as (_, client):
        tasks = [await client.task(ttsText=t) for t in ("slow", "quick")]
        clock.pass_s(150)
        states = [(await client.query(t))["status"] for t in tasks]
        clock.pass_s(151)
        states.append((await client.query(tasks[0]))["status"])
    assert states == ["running", "success", "success"]


async def _link(client: Client) -> str:
    url: str = (await client.finished(await client.task()))["outputVideoUrl"]
    return url


@pytest.mark.parametrize("kind", ["truncated", "drop_before", "stall", "slow_bytes"])
async def test_a_download_may_break_off_or_hang(tmp_path: Path, kind: str) -> None:
    async with running(tmp_path, fault("download", kind)) as (_, client):
        url = URL(await _link(client), encoded=True)
        timeout = aiohttp.ClientTimeout(total=0.8)
        with pytest.raises(Lost):
            async with client.session.get(url, timeout=timeout) as reply:
                await reply.read()


async def test_a_truncated_download_delivers_a_true_first_half(tmp_path: Path) -> None:
    async with running(tmp_path, fault("download", "truncated", nth=1)) as (_, client):
        url = await _link(client)
        half = b""
        with pytest.raises(Lost):
            async with client.session.get(URL(url, encoded=True)) as reply:
                async for piece in reply.content.iter_any():
                    half += piece
        status, rest, _ = await client.fetch(url, Range=f"bytes={len(half)}-")
        _, whole, _ = await client.fetch(url)
    assert (status, half + rest) == (206, whole)
    assert 0 < len(half) < len(whole)


@pytest.mark.parametrize(
    ("rule", "whole"),
    [
        (fault("download", "no_length", nth=1), True),
        (fault("download", "close_delimited", nth=1), True),
        (fault("download", "close_delimited", nth=1, cut=True), False),
    ],
)
async def test_a_download_may_come_without_a_length(
    tmp_path: Path, rule: Fault, whole: bool
) -> None:
    async with running(tmp_path, rule) as (_, client):
        url = await _link(client)
        first, second = await client.fetch(url), await client.fetch(url)
    assert "Content-Length" not in first[2]
    assert (first[1] == second[1]) == whole


async def test_an_object_may_change_between_two_requests(tmp_path: Path) -> None:
    async with running(tmp_path, fault("download", "changed", nth=2)) as (_, client):
        url = await _link(client)
        before = await client.fetch(url)
        guard = {"If-Range": before[2]["Etag"]}
        after = await client.fetch(url, Range="bytes=10-", **guard)
        again = await client.fetch(url)
    assert (before[0], after[0], again[1]) == (200, 200, after[1])
    assert before[2]["Etag"] != after[2]["Etag"] == f'"{hashlib.md5(after[1]).hexdigest()}"'


async def test_a_download_may_be_no_video(tmp_path: Path) -> None:
    async with running(tmp_path, fault("download", "corrupt", nth=1)) as (_, client):
        url = await _link(client)
        bad, good = await client.fetch(url), await client.fetch(url)
    assert (bad[0], len(bad[1]), set(bad[1])) == (200, len(good[1]), {0})


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (fault("download", "expired", nth=1), 403),
        (fault("download", "status", status=403, nth=1), 403),
        (fault("query", "dead_link", nth=1), 403),
        (fault("download", "html", nth=1), 200),
    ],
)
async def test_a_link_may_be_refused_once(tmp_path: Path, rule: Fault, status: int) -> None:
    async with running(tmp_path, rule) as (_, client):
        task = await client.task()
        found = []
        for _ in range(2):
            found.append(await client.fetch((await client.finished(task))["outputVideoUrl"]))
    assert (found[0][0], found[1][0]) == (status, 200)
    assert b"ftyp" not in found[0][1] and b"ftyp" in found[1][1]


async def test_listeners_refuse_connections_for_a_time(tmp_path: Path) -> None:
    clock = FakeClock()
    rule = fault("api", "refuse", after_s=10, until_s=20)
    async with running(tmp_path, rule, clock=clock) as (emulator, client):
        assert (await client.get("/v1/caption/list"))["code"] == "200"
        clock.pass_s(11)
        with pytest.raises(aiohttp.ClientConnectorError):
            await _until_refused(client)
        clock.pass_s(10)
        await eventually(lambda: _answers(emulator, client))


async def _until_refused(client: Client) -> None:
    async with asyncio.timeout(5):
        while True:
            await client.get("/v1/caption/list")
            await asyncio.sleep(0.02)


async def _answers(emulator: Emulator, client: Client) -> bool:
    try:
        return bool((await client.get("/v1/caption/list"))["code"] == "200")
    except aiohttp.ClientConnectorError:
        return False


async def test_counts_go_on_after_a_restart(tmp_path: Path) -> None:
    codes = []
    for _ in range(2):
        async with running(tmp_path, fault("submit", "code", code="4007", nth=3)) as (_, client):
            codes += [(await client.submit())["code"] for _ in range(2)]
    assert codes == ["200", "200", "4007", "200"]


# --- triggers, without a server ----------------------------------------------------------------


def fired(
    rule: Fault, subjects: list[Subject], elapsed_s: float = 0.0, starts: int = 1
) -> list[int]:
    """The numbers (from 1) of the requests that meet the rule."""
    plan = FaultPlan(Faults.of(rule), starts=starts)
    picked = [plan.pick("submit", s, elapsed_s) for s in subjects]
    return [n for n, found in enumerate(picked, start=1) if found is not None]


TEN = [Subject(key=str(n % 2), text=f"text {n}", hashes=(f"h{n}",)) for n in range(10)]


@pytest.mark.parametrize(
    ("trigger", "numbers"),
    [
        ({}, list(range(1, 11))),
        ({"nth": 3}, [3]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"first": 2}, [1, 2]),
        ({"every": 4}, [4, 8]),
        ({"every": 2, "limit": 2}, [2, 4]),
        ({"first": 1, "per": "job"}, [1, 2]),
        ({"match": {"text": "text 7"}}, [8]),
        ({"match": {"hash": "h3"}}, [4]),
        ({"match": {"text": "text", "hash": "h3"}}, [4]),
        ({"match": {"text": "text", "hash": "zz"}}, []),
        ({"match": {"avatar": "3327"}}, []),
        ({"probability": 0.0}, []),
        ({"after_s": 5}, []),
        ({"until_s": 5}, list(range(1, 11))),
    ],
)
def test_a_trigger_picks_its_requests(trigger: dict[str, Any], numbers: list[int]) -> None:
    assert fired(fault("submit", "drop_after", **trigger), TEN) == numbers


def test_chance_is_seeded_and_differs_between_starts() -> None:
    rule = fault("submit", "drop_after", probability=0.3)
    many = [Subject()] * 2000
    first = fired(rule, many)
    assert 500 < len(first) < 700
    assert first == fired(rule, many)
    assert first != fired(rule, many, starts=2)


def test_the_first_rule_that_fires_wins() -> None:
    rules = Faults.of(fault("submit", "html", nth=2), fault("any", "empty_body"))
    plan = FaultPlan(rules)
    picked = [plan.pick("submit", Subject(), 0.0) for _ in range(3)]
    assert [p.do if p else "" for p in picked] == ["empty_body", "html", "empty_body"]


def test_rules_whose_counts_are_used_up_are_named(tmp_path: Path) -> None:
    faults = Faults.of(
        fault("submit", "drop_after", nth=[1, 3]),
        fault("query", "html", first=2),
        fault("submit", "stall", nth=9),
        fault(["put", "download"], "expired", limit=1),
        fault("query", "empty_body", first=1, per="job"),
        fault("voices", "garbage", probability=0.5),
    )
    counts = [("0:drop_after:", 3, 2), ("1:html:", 2, 2), ("2:stall:", 8, 0)]
    counts += [("3:expired:", 7, 1), ("4:empty_body:a", 5, 1), ("5:garbage:", 99, 50)]
    assert used_up(faults, tmp_path) == []
    store = Store(tmp_path / DATABASE)
    store.open()
    store.note(*(insert("fault_counts", key=k, seen=s, fired=f) for k, s, f in counts))
    store.close()
    assert used_up(faults, tmp_path) == [
        "drop_after on submit (nth 1, 3)",
        "html on query (first 2)",
        "expired on put, download (limit 1)",
    ]


async def test_the_counts_of_an_emulator_are_those_that_the_next_start_finds_used_up(
    tmp_path: Path,
) -> None:
    rule = fault("submit", "status", status=503, nth=1)
    async with running(tmp_path, rule) as (_, client):
        assert used_up(Faults.of(rule), tmp_path) == []
        assert (await raw_submit(client))[0] == 503
    assert used_up(Faults.of(rule), tmp_path) == ["status on submit (nth 1)"]


# --- the file ----------------------------------------------------------------------------------


def test_a_file_in_yaml_or_json_gives_the_same_faults(tmp_path: Path) -> None:
    listed = [
        {"on": "submit", "do": "drop_after", "probability": 0.1},
        {"on": ["query", "download"], "do": "status", "status": 502, "nth": [2, 5]},
        {"do": "fail", "message": "no", "match": {"text": "bad"}},
    ]
    as_json, as_yaml = tmp_path / "f.json", tmp_path / "f.yaml"
    as_json.write_text(json.dumps({"seed": 4, "faults": listed}))
    as_yaml.write_text(
        "seed: 4\nfaults:\n"
        "  - {on: submit, do: drop_after, probability: 0.1}\n"
        "  - {on: [query, download], do: status, status: 502, nth: [2, 5]}\n"
        "  - {do: fail, message: 'no', match: {text: bad}}\n"
    )
    assert load_faults(as_json) == load_faults(as_yaml)
    assert load_faults(as_json).rules[2].on == ("task",)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            {"on": "submit", "do": "drop_aftr"},
            "do: `drop_aftr` is not known; did you mean `drop_after`",
        ),
        ({"on": "sumbit", "do": "html"}, "on: `sumbit` is not known; did you mean `submit`"),
        ({"on": "submit", "do": "corrupt"}, "`corrupt` cannot happen on submit; only on download"),
        ({"do": "html"}, "on: missing"),
        ({"on": "submit"}, "do: missing; one of drop_before, drop_after"),
        ({"on": "submit", "kind": "html"}, "`kind` is not known; did you mean `do`?"),
        ({"on": "submit", "knd": "html"}, "do: missing; one of"),
        ({"at": "submit", "do": "html"}, "`at` is not known; did you mean `on`?"),
        ({"on": "submit", "do": "html", "probabilty": 1}, "did you mean `probability`"),
        ({"on": "submit", "do": "html", "status": 5}, "status: means nothing for `html`"),
        ({"on": "submit", "do": "html", "probability": 2}, "probability: 2 is not a number"),
        ({"on": "submit", "do": "html", "nth": 0}, "nth: [0] holds something"),
        ({"on": "submit", "do": "html", "first": "two"}, "first: 'two' is not a whole number"),
        ({"on": "submit", "do": "html", "per": "task"}, "per: 'task' is not one of all, job"),
        ({"on": "submit", "do": "status", "status": 99}, "status: 99 is not an HTTP status"),
        ({"on": "submit", "do": "status", "body": "pdf"}, "body: 'pdf' is not one of"),
        ({"on": "submit", "do": "status", "retry_after": "soon"}, "retry_after: 'soon'"),
        ({"on": "submit", "do": "status", "retry_after": [1]}, "retry_after: [1] is neither"),
        ({"on": "submit", "do": None}, "do: `None` is not known"),
        ({"on": "sumbit", "at": "api", "do": "html"}, "on: `sumbit` is not known"),
        ({"on": "submit", "do": "html", "match": {"txt": "a"}}, "match: `txt` is not known"),
        ({"on": "submit", "do": "html", "match": {"text": 7}}, "match.text: 7 is not text"),
        ({"on": "api", "do": "refuse"}, "until_s: missing"),
        ("submit", "is not a mapping"),
    ],
)
def test_a_wrong_fault_is_explained(item: Any, words: str) -> None:
    with pytest.raises(FaultsError) as error:
        parse_faults({"faults": [{"on": "submit", "do": "html"}, item]})
    assert str(error.value).startswith("faults[1]: ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("faults: {", "1:10", "is not YAML"),
        ("just text", "1:1", "must be a list of faults"),
        ("{fault: []}", "1:2", "`fault` is not known; did you mean `faults`?"),
        ("{seed: x, faults: []}", "1:8", "seed: 'x' is not a whole number"),
        ("faults: all of them", "1:9", "faults: must be a list"),
        ("# none\n- [submit]", "2:3", "['submit'] is not a mapping"),
        ("- {on: submit, do: html,\n   match: {txt: a}}", "2:12", "match: `txt` is not known"),
        ("- do: html\n  first: 1", "1:3", "on: missing"),
        ("- &a [*a]", "1:3", "is not a mapping"),
    ],
)
def test_a_wrong_file_is_explained_with_its_name_and_the_place(
    tmp_path: Path, text: str, place: str, words: str
) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(FaultsError) as error:
        load_faults(path)
    assert str(error.value).startswith(f"{path}:{place}: ")
    assert words in str(error.value)


def test_a_file_that_is_no_text_is_explained_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_bytes(b"faults: [\xff]")
    with pytest.raises(FaultsError, match=r"faults\.yaml: is not YAML: "):
        load_faults(path)


def test_all_problems_of_a_file_are_named_at_once() -> None:
    wrong = [{"on": "submit", "do": "nothing"}, {"on": "submit", "do": "html", "first": 0}]
    with pytest.raises(FaultsError) as error:
        parse_faults(wrong)
    assert len(error.value.problems) == 2


def test_all_problems_of_all_rules_of_a_file_are_told_by_their_places(tmp_path: Path) -> None:
    path = tmp_path / "chaos.yaml"
    path.write_text(
        "faults:\n"
        "  - {on: submit, do: drop_aftr, nth: 0}\n"
        "  - {on: sumbit, do: status, probability: 2, foo: 1}\n"
    )
    with pytest.raises(FaultsError) as error:
        load_faults(path)
    told = [problem.removeprefix(f"{path}:").split(";")[0] for problem in error.value.problems]
    assert told == [
        "2:22: do: `drop_aftr` is not known",
        "2:38: nth: [0] holds something that is no whole number of at least 1",
        "3:10: on: `sumbit` is not known",
        "3:43: probability: 2 is not a number from 0 to 1",
        "3:46: `foo` is not known",
    ]


def test_an_empty_file_is_no_fault_at_all(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("")
    assert load_faults(path) == Faults()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=r"none\.yaml: cannot be read: No such file"):
        load_faults(tmp_path / "none.yaml")


def test_the_docs_explain_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []
