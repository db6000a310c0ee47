"""The life of a task: states, slots, the ledger, saved avatars, and going on after a restart."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
from emulator_support import FakeClock, duration_s, make_mp4, make_wav, running

from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import fault
from orchestrator.emulator.tasks import Slots, cost_credits, render_time_s, speech_s
from orchestrator.errors import UsageError

HUNDRED = {"render": "constant", "render_mean_s": 100.0}


async def test_a_task_goes_from_init_over_running_to_success(tmp_path: Path) -> None:
    clock, seen = FakeClock(), []
    async with running(tmp_path, clock=clock, **HUNDRED) as (_, client):
        task = await client.task()
        for seconds in (0, 3, 96, 1):
            clock.pass_s(seconds)
            result = await client.query(task)
            seen.append((result["status"], result["outputVideoUrl"] is not None))
    assert seen == [("init", False), ("running", False), ("running", False), ("success", True)]


async def test_surplus_tasks_wait_for_a_slot_in_order_of_arrival(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, slots=2, **HUNDRED) as (emulator, client):
        tasks = [await client.task(ttsText=f"Number {n}.") for n in range(4)]
        clock.pass_s(50)
        first = [(await client.query(t))["status"] for t in tasks]
        clock.pass_s(60)
        second = [(await client.query(t))["status"] for t in tasks]
        assert emulator.audit().unfinished_peak == 4
    assert first == ["running", "running", "init", "init"]
    assert second == ["success", "success", "running", "running"]


async def test_surplus_tasks_can_be_refused_instead(tmp_path: Path) -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {"slots": 2, "over_slots": "refuse", **HUNDRED}
    async with running(tmp_path, clock=clock, **settings) as (emulator, client):
        codes = [(await client.submit())["code"] for _ in range(3)]
        clock.pass_s(100)
        codes.append((await client.submit())["code"])
        assert (emulator.audit().accepted, emulator.audit().refused) == (3, {"4007": 1})
    assert codes == ["200", "200", "4007", "200"]


async def test_slots_belong_to_one_account(tmp_path: Path) -> None:
    async with running(tmp_path, clock=FakeClock(), slots=1, over_slots="refuse", **HUNDRED) as (
        _,
        client,
    ):
        assert (await client.submit())["code"] == "200"
        client.headers["Topview-Uid"] = "other"
        assert (await client.submit())["code"] == "200"


def test_a_slot_is_taken_by_whoever_waits_longest() -> None:
    slots = Slots(2)
    assert [slots.place(0, 10), slots.place(0, 4), slots.place(1, 1), slots.place(20, 5)] == [
        (0, 10),
        (0, 4),
        (4, 5),
        (20, 25),
    ]


def test_render_times_are_drawn_around_their_mean_and_clipped() -> None:
    config = EmulatorConfig(seed=7)
    times = [render_time_s(config, n) for n in range(1, 2001)]
    assert 150 < statistics.mean(times) < 170
    assert (min(times), max(times)) == (70.0, 270.0)
    assert times == [render_time_s(config, n) for n in range(1, 2001)]
    assert times != [render_time_s(EmulatorConfig(seed=8), n) for n in range(1, 2001)]


def test_time_is_scaled() -> None:
    slow, quick = EmulatorConfig(), EmulatorConfig(time_scale=10.0)
    assert render_time_s(quick, 3) == pytest.approx(render_time_s(slow, 3) / 10)


@pytest.mark.parametrize(
    ("mode", "text", "audio_s", "credits"),
    [
        ("0", "a", None, 1.0),
        ("0", "a" * 400, None, 1.0),
        ("0", "a" * 401, None, 2.0),
        ("0", None, 0.5, 1.0),
        ("0", None, 30.0, 1.0),
        ("0", None, 30.1, 2.0),
        ("0", None, None, 1.0),
        ("1", None, 25.0, 4.0),
        ("2", "a" * 900, None, 4.0),
    ],
)
def test_the_tariff(mode: str, text: str | None, audio_s: float | None, credits: float) -> None:
    assert cost_credits(mode, text=text, audio_s=audio_s) == credits


def test_spoken_text_lasts_by_its_length_and_speed() -> None:
    assert (speech_s("a" * 150, 1.0), speech_s("a" * 150, 0.8), speech_s("a", 1.0)) == (
        10.0,
        12.5,
        1.0,
    )


async def test_success_is_charged_when_it_comes_and_failure_never(tmp_path: Path) -> None:
    clock = FakeClock(1_800_000_000.7)
    rule = fault("task", "fail", match={"text": "bad"})
    async with running(tmp_path, rule, clock=clock, balance=10.0, **HUNDRED) as (_, client):
        good, _ = await client.task(ttsText="good"), await client.task(ttsText="bad")
        before = (await client.get("/user/credit/detail"))["result"]["remainCredit"]
        clock.pass_s(101)
        after = (await client.get("/user/credit/detail"))["result"]
        log = (await client.get("/user/credit/logs"))["result"]["data"]
    assert (before, after["remainCredit"]) == (10.0, 9.0)
    assert after["apiKeyMap"] == {"default": "some-key"}
    assert log == [
        {
            "uid": "some-uid",
            "apiKey": "some-key",
            "date": "2027-01-15 08:01:40",
            "costCredit": 1.0,
            "taskId": good,
            "taskType": "video_avatar",
        }
    ]


async def test_charging_at_submit_gives_failures_back(tmp_path: Path) -> None:
    clock = FakeClock()
    rule = fault("task", "fail", match={"text": "bad"})
    async with running(tmp_path, rule, clock=clock, charge="submit", **HUNDRED) as (_, client):
        await client.task(ttsText="good")
        await client.task(ttsText="bad")
        charged = [
            e["costCredit"] for e in (await client.get("/user/credit/logs"))["result"]["data"]
        ]
        clock.pass_s(101)
        later = [e["costCredit"] for e in (await client.get("/user/credit/logs"))["result"]["data"]]
    assert (charged, later) == ([1.0, 1.0], [-1.0, 1.0, 1.0])


@pytest.mark.parametrize("charge", ["success", "submit"])
async def test_without_enough_credit_a_submit_is_refused(tmp_path: Path, charge: str) -> None:
    settings = {"balance": 5.0, "charge": charge, **HUNDRED}
    async with running(tmp_path, clock=FakeClock(), **settings) as (_, client):
        codes = [(await client.submit(modeType=m))["code"] for m in ("1", "1", "0", "0")]
    assert codes == ["200", "4100", "200", "4100"]


async def test_the_credit_log_is_filtered_by_type_and_whole_seconds(tmp_path: Path) -> None:
    clock, totals = FakeClock(1_800_000_000.9), []
    async with running(tmp_path, clock=clock) as (_, client):
        await client.task()
        clock.pass_s(10)
        await client.task(ttsText="Second.")
        for query in (
            {},
            {"taskType": "video_avatar"},
            {"taskType": "m2v"},
            {"startTime": "2027-01-15 08:00:00"},
            {"startTime": "2027-01-15 08:00:01"},
            {"endTime": "2027-01-15 08:00:00"},
            {"startTime": "2027-01-15 08:00:10", "endTime": "2027-01-15 08:00:10"},
            {"endTime": "2027-01-15 07:59:59"},
        ):
            totals.append((await client.get("/user/credit/logs", **query))["result"]["total"])
        newest = (await client.get("/user/credit/logs", pageSize="1"))["result"]["data"]
    assert totals == [2, 2, 0, 2, 1, 1, 1, 0]
    assert [e["date"] for e in newest] == ["2027-01-15 08:00:10"]


async def test_a_saved_avatar_joins_the_private_list_on_success(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, **HUNDRED) as (_, client):
        video = await client.upload(make_mp4(), "mp4")
        await client.task(avatarSourceFrom="0", videoFileId=video, isSave2CustomAiAvatar=True)
        before = (await client.get("/v1/aiavatar/query", isCustom="true"))["result"]["data"]
        clock.pass_s(101)
        after = (await client.get("/v1/aiavatar/query", isCustom="true"))["result"]["data"]
        new = {a["aiavatarId"] for a in after} - {a["aiavatarId"] for a in before}
        task = await client.task(avatarSourceFrom="2", aiAvatarId=new.pop())
        clock.pass_s(101)
        assert (await client.finished(task))["status"] == "success"
    assert not new


async def test_a_result_is_as_long_as_the_uploaded_sound(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        sound = await client.upload(make_wav(3.21), "wav")
        task = await client.task(audioSourceFrom="0", audioFileId=sound, ttsText=None)
        link = (await client.finished(task))["outputVideoUrl"]
        _, data, _ = await client.fetch(link)
    assert duration_s(data) == pytest.approx(3.21, abs=0.15)


@pytest.mark.parametrize("charge", ["success", "submit"])
async def test_a_video_that_turns_out_impossible_fails_before_success_is_told(
    tmp_path: Path, charge: str
) -> None:
    async with running(tmp_path, charge=charge) as (emulator, client):
        sound = await client.upload(make_wav(), "wav")
        for stored in (tmp_path / "objects").iterdir():
            stored.write_bytes(b"rotten")
        task = await client.task(audioSourceFrom="0", audioFileId=sound, ttsText=None)
        result = await client.finished(task)
        detail = (await client.get("/user/credit/detail"))["result"]
        assert emulator.audit().credits_charged == 0.0
    assert (result["status"], result["outputVideoUrl"]) == ("fail", None)
    assert "could not be rendered" in result["errorMsg"]
    assert detail["remainCredit"] == 1000.0


async def test_everything_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, slots=1, **HUNDRED) as (emulator, client):
        sound = await client.upload(make_wav(), "wav")
        unused = await client.credential("mp4")
        tasks = [await client.task(ttsText=f"Number {n}.") for n in range(3)]
        clock.pass_s(101)
        first = await client.finished(tasks[0])
        before = emulator.audit()
    clock.pass_s(100)
    async with running(tmp_path, clock=clock, slots=1, **HUNDRED) as (emulator, client):
        states = [(await client.query(t))["status"] for t in tasks]
        assert states == ["success", "success", "init"]
        check = await client.get("/v1/upload/check", fileId=unused["fileId"])
        assert check["result"] is False
        again = await client.task(audioSourceFrom="0", audioFileId=sound, ttsText=None)
        clock.pass_s(199)
        assert (await client.query(again))["status"] == "success"
        clock.pass_s(3)
        detail = (await client.get("/user/credit/detail"))["result"]
        after = emulator.audit()
    assert first["status"] == "success"
    assert detail["remainCredit"] == 996.0
    assert (before.accepted, after.accepted, after.starts) == (3, 4, 2)
    assert after.requests["submit"] == 4


async def test_two_emulators_never_share_a_folder(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(UsageError, match="another emulator is using this folder"):
            async with running(tmp_path):
                pass


async def test_ports_follow_the_given_one(tmp_path: Path) -> None:
    async with running(tmp_path / "a") as (emulator, _):
        taken = int(emulator.base_url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {taken} on 127.0.0.1 can not be used"):
            async with running(tmp_path / "b", port=taken):
                pass


async def test_a_listener_goes_down_and_comes_back_on_its_port(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        task = await client.task()
        await emulator.go_down("api")
        with pytest.raises(OSError, match=r"Cannot connect"):
            await client.query(task)
        await emulator.come_back()
        assert (await client.finished(task))["status"] == "success"
