"""The audit: duplicates, windows, uploads, and what survives a SIGKILL of the whole process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from emulator_support import (
    Client,
    EmulatorProcess,
    FakeClock,
    duration_s,
    make_png,
    make_wav,
    running,
)

from orchestrator.emulator.audit import Audit, busiest
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.errors import UsageError


@pytest.mark.parametrize(
    ("times", "window_s", "most"),
    [
        ([], 1.0, 0),
        ([5.0], 1.0, 1),
        ([0.0, 1.0, 2.0], 1.0, 1),
        ([0.0, 0.999, 2.0], 1.0, 2),
        ([3.0, 0.0, 0.5, 0.9, 2.5], 1.0, 3),
        ([1.0] * 7, 0.001, 7),
    ],
)
def test_the_busiest_window(times: list[float], window_s: float, most: int) -> None:
    assert busiest(times, window_s) == most


async def test_two_tasks_for_one_content_are_a_duplicate(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        first = await client.task(ttsText="Same.", noticeUrl="http://127.0.0.1:9/1")
        await client.task(ttsText="Other.")
        second = await client.task(ttsText="Same.", noticeUrl="http://127.0.0.1:9/2")
        audit = emulator.audit()
    assert sorted(len(tasks) for tasks in audit.jobs.values()) == [1, 2]
    assert [first, second] in list(audit.jobs.values())
    assert sorted(audit.bodies.values()) == [1, 2]
    assert audit.duplicate_tasks == 1


async def test_jobs_are_told_apart_by_content_and_not_by_file_id(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        for data in (make_wav(), make_wav(), make_wav(pitch=500)):
            file = await client.upload(data, "wav")
            await client.task(audioSourceFrom="0", audioFileId=file, ttsText=None)
        audit = emulator.audit()
    assert sorted(len(tasks) for tasks in audit.jobs.values()) == [1, 2]
    assert sorted(audit.bodies.values()) == [1, 1, 1]
    assert audit.uploads[hashlib.sha256(make_wav()).hexdigest()] == 2
    assert audit.repeated_uploads == 1


async def test_arrivals_are_counted_in_windows(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock) as (emulator, client):
        for wait_s in (0.0, 0.5, 0.5, 3.0):
            clock.pass_s(wait_s)
            await client.submit()
            await client.get("/v1/caption/list")
        await client.submit(voiceoverId="wrong")
        one, five = emulator.audit(), emulator.audit(window_s=5.0)
    assert (one.max_submits_in_window, one.max_accepted_in_window) == (2, 2)
    assert (five.max_submits_in_window, five.max_accepted_in_window) == (5, 4)
    assert (one.max_requests_in_window, five.max_requests_in_window) == (4, 9)
    assert (one.submits, one.accepted, one.refused) == (5, 4, {"4004": 1})
    assert one.requests == {"submit": 5, "captions": 4}


async def test_queries_after_the_end_was_told_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        task = await client.task()
        for _ in range(3):
            await client.query(task)
        assert emulator.audit().queries_after_end == 2


async def test_files_that_nobody_checked_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        given = await client.credential("png")
        await client.put(given["uploadUrl"], make_png())
        before = emulator.audit()
        await client.task(avatarSourceFrom="3", imageFileId=given["fileId"], modeType="1")
        after = emulator.audit()
    assert (before.puts_unchecked, before.used_unchecked) == (1, 0)
    assert (after.puts_unchecked, after.used_unchecked) == (1, 1)


async def test_downloads_and_bytes_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        link = (await client.finished(await client.task()))["outputVideoUrl"]
        _, data, _ = await client.fetch(link)
        await client.fetch(link, Range="bytes=0-99")
        audit = emulator.audit()
    assert (audit.downloads, audit.bytes_served) == (1, len(data) + 100)


async def test_the_report_is_the_same_over_http(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        await client.task()
        url = emulator.base_url + "/_emulator/audit?window_s=2"
        async with client.session.get(url) as reply:
            over_http = Audit.from_json(await reply.json())
        async with client.session.get(url + "x") as reply:
            assert reply.status == 400
        assert over_http == emulator.audit(window_s=2.0)


async def test_all_is_remembered_after_a_sigkill(tmp_path: Path) -> None:
    config = {"render": "constant", "render_mean_s": 0.3}
    with EmulatorProcess(
        tmp_path, config, [{"on": "credential", "do": "html", "nth": 9}]
    ) as vendor:
        async with Client(vendor.base_url) as client:
            file = await client.upload(make_wav(2.0), "wav")
            tasks = [
                await client.task(audioSourceFrom="0", audioFileId=file, ttsText=None),
                await client.task(ttsText="Second."),
            ]
        vendor.kill()
        vendor.start()
        async with Client(vendor.base_url) as client:
            ends = [await client.finished(t) for t in tasks]
            status, data, _ = await client.fetch(ends[0]["outputVideoUrl"])
            check = await client.get("/v1/upload/check", fileId=file)
        audit = vendor.audit()
    assert [e["status"] for e in ends] == ["success", "success"]
    assert (status, check["result"]) == (200, True)
    assert duration_s(data) == pytest.approx(2.0, abs=0.15)
    assert (audit.accepted, audit.starts, audit.credits_charged) == (2, 2, 2.0)
    assert audit.uploads == {hashlib.sha256(make_wav(2.0)).hexdigest(): 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--config", '{"slot": 3}'],
            "emulator setting slot: no such setting; did you mean slots?",
        ),
        (["--config", "{"], "--config: is not JSON"),
        (["--faults-json", '[{"on": "submit", "do": "x"}]'], "faults[0]: do: `x` is not known"),
    ],
)
def test_wrong_settings_of_the_process_are_explained(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    command = [sys.executable, "-m", "orchestrator.emulator", "--data", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"time_scale": 0}, "time_scale: must be greater than 0"),
        ({"slots": 0}, "slots: must be greater than 0"),
        ({"slots": 1.5}, "slots: 1.5 is not int"),
        ({"render": "normal"}, "render: 'normal' is not one of lognormal, constant, zero"),
        ({"balance": -1}, "balance: must not be negative"),
        ({"rate_limit": 0}, "rate_limit: must be at least 1"),
        ({"rate_limit": True}, "rate_limit: True is not int or null"),
        ({"render_min_s": 300}, "render_min_s: must not exceed render_max_s"),
        ({"render_mean_s": 0}, "render_mean_s: must be greater than 0"),
    ],
)
def test_wrong_settings_are_explained(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as error:
        EmulatorConfig.from_mapping(settings)
    assert words in str(error.value)


def test_settings_survive_json() -> None:
    config = EmulatorConfig(slots=7, uid="u", rate_limit=3)
    assert EmulatorConfig.from_mapping(json.loads(json.dumps(config.to_json()))) == config


def test_the_docs_name_every_setting() -> None:
    text = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    assert [key for key in EmulatorConfig().to_json() if f"`{key}`" not in text] == []


def test_the_audit_needs_no_credentials_but_a_gateway_stands_around_it(tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path) as vendor:
        assert vendor.audit().requests == {}
        with pytest.raises(HTTPError) as error:
            urlopen(f"{vendor.base_url}/_emulator/nothing", timeout=10)
        error.value.close()
    assert error.value.code == 404
