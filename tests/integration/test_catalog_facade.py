"""The lists against the emulator, in this process: asked for, kept, found again."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from emulator_support import Client, FakeClock, running

from orchestrator.catalogues.facade import AvatarFilter, Catalogues, VoiceFilter
from orchestrator.emulator.faults import Fault, fault
from orchestrator.errors import CredentialsError, UsageError, VendorUnavailable

KEY = "some-key"
DEAD = "http://127.0.0.1:9"
"""Nobody listens on the discard port of this machine."""


class Setting:
    """An emulator, a state folder, and the waits that were asked for."""

    def __init__(self, base_url: str, client: Client, state: Path) -> None:
        self.client, self.state = client, state
        self.waits: list[float] = []
        self.clock = FakeClock()
        self.env = {
            "TOPVIEW_BASE_URL": base_url,
            "TOPVIEW_UID": "some-uid",
            "TOPVIEW_API_KEY": KEY,
        }

    def catalogues(self, *, offline: bool = False, **env: str) -> Catalogues:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        kept = {k: v for k, v in {**self.env, **env}.items() if v}
        return Catalogues(self.state, env=kept, offline=offline, wall=self.clock, sleep=sleep)


@asynccontextmanager
async def setting(tmp_path: Path, *rules: Fault, **config: Any) -> AsyncIterator[Setting]:
    async with running(tmp_path / "vendor", *rules, **config) as (emulator, client):
        yield Setting(emulator.base_url, client, tmp_path / "state")


async def test_all_pages_of_a_list_come(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        found = await here.catalogues().voices()
        asked = await here.client.get("/v1/voice/query", pageSize="100")
    assert [v.id for v in found.items] == [v["voiceId"] for v in asked["result"]["data"]]
    assert (found.total, found.complete, found.copy, found.age_s) == (66, True, False, 0.0)


async def test_avatars_are_filtered_by_the_vendor_and_by_name_here(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        wanted = AvatarFilter(gender="Male", ethnicities=("sample b",), name="HENRY")
        found = await here.catalogues().avatars(wanted)
    assert [(a.id, a.name, a.gender, a.ethnicities) for a in found.items] == [
        ("3405", "Sample Henry", "male", ("Sample B",))
    ]


async def test_the_accounts_own_avatars_are_a_list_of_their_own(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        found = await here.catalogues().avatars(AvatarFilter(private=True))
    assert [(a.id, a.private) for a in found.items] == [("9002", True)]


@pytest.mark.parametrize("shape", ["paged", "list"])
async def test_ethnicities_come_in_both_shapes(tmp_path: Path, shape: str) -> None:
    async with setting(tmp_path, ethnicity_shape=shape) as here:
        found = await here.catalogues().ethnicities()
    assert [e.name for e in found.items] == [f"Sample {letter}" for letter in "ABCDEF"]


async def test_captions_are_a_plain_list(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        found = await here.catalogues().captions()
    assert found.items[0].id == "cap-sample-1"
    assert found.total == 6


async def test_a_filter_that_the_vendor_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        with pytest.raises(UsageError, match="refuses this question: language must be one of"):
            await here.catalogues().voices(VoiceFilter(language="klingon"))


async def test_refused_credentials_are_said(tmp_path: Path) -> None:
    async with setting(tmp_path, api_key="another") as here:
        with pytest.raises(CredentialsError, match="check TOPVIEW_API_KEY and TOPVIEW_UID"):
            await here.catalogues().captions()


async def test_missing_credentials_are_said_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="TOPVIEW_API_KEY and TOPVIEW_UID are not set"):
        Catalogues(tmp_path, env={})


async def test_a_busy_vendor_is_asked_again_after_the_time_that_it_wishes(tmp_path: Path) -> None:
    rule = fault("captions", "status", status=429, retry_after=7, nth=1)
    async with setting(tmp_path, rule) as here:
        found = await here.catalogues().captions()
    assert len(found.items) == 6
    assert max(here.waits) == 7.0


@pytest.mark.parametrize("kind", ["garbage", "html", "truncated_json", "drop_before"])
async def test_a_spoilt_reply_is_asked_for_again(tmp_path: Path, kind: str) -> None:
    async with setting(tmp_path, fault("avatars", kind, nth=1)) as here:
        assert (await here.catalogues().avatars()).total == 45


@pytest.mark.parametrize("kind", ["missing_fields", "wrong_types", "garbage"])
async def test_replies_that_stay_spoilt_end_in_a_message(tmp_path: Path, kind: str) -> None:
    async with setting(tmp_path, fault("captions", kind)) as here:
        with pytest.raises(VendorUnavailable, match="no copy of the list"):
            await here.catalogues().captions()


async def test_a_vendor_that_does_not_answer_is_asked_three_times_in_all(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        catalogues = here.catalogues(TOPVIEW_BASE_URL=DEAD)
        with pytest.raises(VendorUnavailable, match="orchestrator doctor"):
            await catalogues.avatars(AvatarFilter(ethnicities=("Sample A",)))
    assert [w for w in here.waits if w >= 1] == [1.0, 3.0]


async def test_a_copy_answers_when_the_vendor_does_not(tmp_path: Path) -> None:
    rule = fault("voices", "status", status=503, after_s=0.0, nth=[2, 3, 4])
    async with setting(tmp_path, rule) as here:
        fresh = await here.catalogues().voices()
        here.clock.pass_s(7200)
        copy = await here.catalogues().voices()
    assert copy.items == fresh.items
    assert (copy.copy, copy.age_s, copy.at) == (True, 7200.0, fresh.at)
    assert copy.notes and "503" in copy.notes[0]


async def test_offline_nobody_is_asked(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        fresh = await here.catalogues().avatars()
        before = len(here.waits)
    copy = await here.catalogues(offline=True).avatars()
    assert copy.items == fresh.items
    assert copy.copy
    assert len(here.waits) == before


async def test_a_whole_copy_is_filtered_offline_as_the_vendor_would(tmp_path: Path) -> None:
    wanted = AvatarFilter(gender="male", ethnicities=("Sample B",))
    async with setting(tmp_path) as here:
        asked = await here.catalogues().avatars(wanted)
        other = Setting(here.env["TOPVIEW_BASE_URL"], here.client, tmp_path / "other")
        await other.catalogues().avatars()
        await other.catalogues().ethnicities()
    found = await other.catalogues(offline=True).avatars(wanted)
    assert [a.id for a in found.items] == [a.id for a in asked.items]


async def test_offline_a_single_account_is_found_without_credentials(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await here.catalogues().captions()
    found = await here.catalogues(offline=True, TOPVIEW_UID="").captions()
    assert len(found.items) == 6


async def test_offline_without_a_copy_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="once without --offline"):
        await Catalogues(tmp_path, env={}, offline=True).captions()


async def test_copies_hold_neither_keys_nor_signatures(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await here.catalogues().avatars()
        await here.catalogues().credits(3600.0)
    (file,) = (here.state / "catalogues").glob("*.json")
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY not in text and "some-uid" not in text and "Signature" not in text


async def test_a_copy_that_cannot_be_kept_is_a_note(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.state.write_text("a file in the way of the folder")
        found = await here.catalogues().captions()
    assert len(found.items) == 6
    assert "state" in found.notes[0]


async def test_the_balance_is_shown_and_kept(tmp_path: Path) -> None:
    async with setting(tmp_path, balance=42.5) as here:
        assert (await here.catalogues().credits()).balance == 42.5
    copy = await here.catalogues(offline=True).credits()
    assert (copy.balance, copy.copy, copy.charges) == (42.5, True, None)


async def test_the_log_names_the_charged_tasks_newest_first(tmp_path: Path) -> None:
    async with setting(tmp_path, balance=100.0) as here:
        tasks = [await here.client.task() for _ in range(3)]
        for task in tasks:
            await here.client.finished(task)
        found = await here.catalogues().credits(3600.0)
    assert found.charges is not None
    assert {c.task_id for c in found.charges} == set(tasks)
    assert all(c.task_type == "video_avatar" and (c.credits or 0) > 0 for c in found.charges)
    times = [c.at or 0.0 for c in found.charges]
    assert times == sorted(times, reverse=True)
    assert found.balance is not None and found.balance < 100.0


async def test_the_log_is_not_kept(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await here.catalogues().credits(3600.0)
    with pytest.raises(UsageError, match="leave out --offline"):
        await here.catalogues(offline=True).credits(3600.0)


async def test_calls_follow_each_other_no_faster_than_five_a_second(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await here.catalogues().avatars(AvatarFilter(ethnicities=("Sample A",)))
    assert here.waits == [0.2]


MANIFEST = """
version: 1
batch: spring
output: out/{id}.mp4
jobs:
  - {id: wrong, avatar: {public: "3372"}, audio: {text: "Hello.", voice: NoSuchVoice}}
"""


async def test_ids_are_compared_with_the_lists_that_they_need(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(MANIFEST)
    async with setting(tmp_path) as here:
        checked = await here.catalogues().check_ids(path)
    assert [(c.problem.split()[0], c.warning) for c in checked.complaints] == [
        ("avatar.public", False),
        ("audio.voice", False),
    ]
    assert checked.notes == ()


async def test_what_only_a_copy_says_is_a_warning(tmp_path: Path) -> None:
    """The list may have grown since."""
    path = tmp_path / "jobs.yaml"
    path.write_text(MANIFEST)
    async with setting(tmp_path) as here:
        await here.catalogues().check_ids(path)
    here.clock.pass_s(7200)
    checked = await here.catalogues().check_ids(path)
    assert [c.warning for c in checked.complaints] == [True, True]
    assert "could not be sent" in checked.notes[0]
    assert checked.notes[-1] == "ids are compared with copies up to 2.0 h old"
