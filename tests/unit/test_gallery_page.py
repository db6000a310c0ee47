"""The page of a batch: what it says, in which order, and that nothing can break out of it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from results_kit import BATCH, HOME, NOON, job_row, run_row, subject

from orchestrator.model import AudioKind, AvatarKind, JobId, JobSpec, Mode, State
from orchestrator.report.asked import LONGEST_TEXT
from orchestrator.report.cards import Video, arrange, mood, relative
from orchestrator.report.gallery import MARK, Subject, render
from orchestrator.store.base import JobRow

BESIDE = HOME / "out"
HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and all text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def states(self) -> list[str | None]:
        return [article["data-state"] for article in self.all("article")]


def page(*rows: JobRow, **more: Any) -> Page:
    return Page(render(subject(*rows, **more), BESIDE))


def of(given: Subject) -> Page:
    return Page(render(given, BESIDE))


def there(*rows: JobRow, poster: bytes | None = b"jpeg") -> dict[JobId, Video]:
    return {row.job_id: Video(there=True, poster=poster) for row in rows}


def test_jobs_in_doubt_come_first_then_failed_ones_then_videos_in_manifest_order() -> None:
    shown = page(
        job_row("b"),
        job_row("a"),
        job_row("c", State.FAILED),
        job_row("d", State.CANCELLED),
        job_row("e", State.READY),
        job_row("f", State.IN_DOUBT),
        job_row("g", State.SUBMITTED, overdue=True),
    )
    titles = [text for text in shown.texts if text in set("abcdefg")]
    assert titles == ["f", "c", "g", "b", "a", "e", "d"]


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_section(state: State) -> None:
    assert mood(job_row("a", state)) in {"problem", "going", "done", "aside"}
    assert mood(job_row("a", state, orphan=True)) == "aside"


def test_a_card_says_all_that_is_known_of_a_video() -> None:
    row = job_row("hello", credits=1.5, attempts=2, tags=("vip",))
    shown = page(row, videos=there(row))
    for text in ("hello", "done", "0:42", "1.5 MB", "1.5", "2", "vip", "task-of-hello"):
        assert text in shown.texts
    [video] = shown.all("video")
    assert video["src"] == "./spring/hello.mp4"
    assert video["preload"] == "none"
    assert video["poster"] == "data:image/jpeg;base64,anBlZw=="
    assert [a["href"] for a in shown.all("a")][-1] == "./spring/hello.mp4"


def test_a_failed_job_shows_its_error_and_no_video() -> None:
    shown = page(job_row("a", State.FAILED, message="the vendor says: no such voice"))
    assert "the vendor says: no such voice" in shown.texts
    assert shown.all("video") == []


def test_a_video_that_is_gone_is_said_to_be_gone_and_not_linked() -> None:
    row = job_row("a")
    shown = page(row, videos={row.job_id: Video(there=False)})
    assert "The file is not there" in shown.texts
    assert row.output in shown.texts
    assert shown.all("video") == []


def test_a_video_without_a_picture_can_be_played_all_the_same() -> None:
    row = job_row("a")
    [video] = page(row, videos=there(row, poster=None)).all("video")
    assert "poster" not in video


@pytest.mark.parametrize(
    "row",
    [
        job_row(HOSTILE),
        job_row(HOSTILE, State.FAILED, message=HOSTILE, task_id=HOSTILE, tags=(HOSTILE,)),
        job_row("a", output=f"/project/out/{HOSTILE}.mp4"),
    ],
    ids=["done", "failed", "output"],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_hostile_texts_stay_texts(row: JobRow, is_there: bool) -> None:
    batch = replace(BATCH, name=HOSTILE, manifest=HOME / f"{HOSTILE}.yaml")
    shown = page(row, batch=batch, videos={row.job_id: Video(there=is_there)})
    assert len(shown.all("script")) == 1
    assert shown.all("img") == []
    assert not any(name.startswith("on") for _, attributes in shown.tags for name in attributes)


@pytest.mark.parametrize(
    ("output", "link"),
    [
        ("/project/out/a b.mp4", "./a%20b.mp4"),
        ("/project/out/javascript:alert(1).mp4", "./javascript%3Aalert%281%29.mp4"),
        ("/project/out/50%#?.mp4", "./50%25%23%3F.mp4"),
        ("/project/out/ä\"'.mp4", "./%C3%A4%22%27.mp4"),
        ("/elsewhere/a.mp4", "./../../elsewhere/a.mp4"),
    ],
)
def test_a_link_is_relative_and_stays_one_link(output: str, link: str) -> None:
    assert relative(output, BESIDE) == link


def test_query_strings_and_passwords_of_addresses_are_not_shown() -> None:
    told = "no video at https://me:pass@cdn.example/a.mp4?X-Amz-Signature=abc&k=1#f, sorry"
    shown = page(job_row("a", State.FAILED, message=told))
    assert "no video at https://cdn.example/a.mp4 sorry" in shown.texts
    assert not re.search("Amz|abc|pass", shown.source)


def test_the_page_asks_nobody_for_anything() -> None:
    row = job_row("hello")
    shown = page(row, videos=there(row))
    references = [
        value
        for _, attributes in shown.tags
        for name in ("src", "href", "poster", "srcset", "data", "action")
        if (value := attributes.get(name)) is not None
    ]
    assert all(value.startswith(("./", "#", "data:")) for value in references)
    assert "url(" not in shown.source
    assert "http" not in shown.source.replace("http-equiv", "")


def test_the_policy_allows_this_style_and_script_and_no_other() -> None:
    shown = page(job_row("a"))
    [policy] = [m["content"] for m in shown.all("meta") if "http-equiv" in m]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", shown.source, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in attributes for _, attributes in shown.tags)


def test_the_mark_stands_at_the_beginning() -> None:
    assert MARK in page(job_row("a", tags=("x" * 5000,))).source[:1024]


def test_a_rehearsal_is_marked_in_the_title_and_on_top() -> None:
    real, rehearsal = page(job_row("a")), page(job_row("a"), rehearsal=True)
    assert "Rehearsal." in rehearsal.texts
    assert "<title>Rehearsal: spring" in rehearsal.source
    assert "ehearsal" not in real.source.split("<body>")[1]


def figures_of(shown: Page) -> dict[str, str]:
    source = shown.source.split('<dl class="figures">')[1].split("</dl>")[0]
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?) ?(?:<small>(.*?)</small>)?</dd>", source)
    return {name: f"{value}, {note}" for name, value, note in pairs}


def test_the_summary_of_a_run_that_ended() -> None:
    rows = [job_row("a"), job_row("b", credits=None), job_row("c", updated_at=NOON - 10)]
    last = run_row(exit_code=3)
    shown = page(*rows, job_row("d", State.FAILED), last=last)
    told = figures_of(shown)
    assert told["Credits"] == "2, as the vendor&#39;s log says"
    assert told["Time taken"] == "2 min 40 s, from the first run&#39;s start to the last video"
    assert told["Per hour"] == "1.0, 2 videos in the last run"
    assert told["Last run"].startswith("exit 3, some jobs failed; began ")
    assert told["Last run"].endswith(", took 2 h")
    assert "3 of 4 videos done." in shown.texts


def test_the_summary_of_a_run_that_goes_on_was_killed_or_never_was() -> None:
    cut = run_row(ended_at=None, exit_code=None)
    running = "process 4711 on studio"
    assert figures_of(page(last=cut))["Last run"].startswith("cut off, began ")
    going = figures_of(page(last=cut, running=running))["Last run"]
    assert going.startswith(f"running, {running}; began ")
    assert figures_of(page(last=None)).keys() == {"Credits", "Last run"}


def test_a_run_that_made_nothing_does_not_change_what_the_batch_took() -> None:
    rows = [job_row("a"), job_row("b", updated_at=NOON + 3_500)]
    first = figures_of(page(*rows))["Time taken"]
    owner = replace(run_row().owner, started_at=NOON + 8_000)
    again = replace(run_row(ended_at=NOON + 8_001), owner=owner)
    told = figures_of(page(*rows, last=again))
    assert told["Time taken"] == first
    assert first.startswith("1 h, ")
    assert told["Last run"].endswith("took 1 s")
    assert "Per hour" not in told


SPEC = JobSpec(
    job_id=JobId("a"),
    avatar_kind=AvatarKind.PUBLIC,
    avatar="3327",
    audio_kind=AudioKind.TEXT,
    audio="Welcome to our  house.\n" * 20,
    output=HOME / "out" / "spring" / "a.mp4",
    voice="VOICE_ID",
)


def test_a_card_says_what_was_asked_for() -> None:
    files = replace(
        SPEC,
        job_id=JobId("b"),
        avatar_kind=AvatarKind.VIDEO,
        avatar="/media/anna.mp4",
        audio_kind=AudioKind.FILE,
        audio="/media/hello.wav",
        mode=Mode.AVATAR2,
    )
    shown = page(job_row("a"), job_row("b"), specs={JobId("a"): SPEC, JobId("b"): files})
    for text in ("public 3327", "VOICE_ID", "anna.mp4", "hello.wav", "avatar2"):
        assert text in shown.texts
    [said] = [text for text in shown.texts if text.startswith("Welcome")]
    assert said.endswith(" …")
    assert len(said) <= LONGEST_TEXT + 2
    assert said.startswith("Welcome to our house. Welcome")
    assert "/media" not in shown.source


def test_a_hostile_text_or_name_stays_text() -> None:
    spec = replace(SPEC, audio=HOSTILE, voice=HOSTILE, avatar=HOSTILE, caption=HOSTILE)
    shown = page(job_row("a"), specs={JobId("a"): spec})
    assert HOSTILE in shown.texts
    assert len(shown.all("script")) == 1
    assert shown.all("img") == []


def test_what_was_given_up_in_doubt_is_not_sent_in_a_circle() -> None:
    dropped = job_row("a", State.FAILED, reason="operator:drop")
    assert "--retry-failed" not in page(dropped).source
    assert "resolve" in page(dropped).source
    assert "--retry-failed" in page(dropped, job_row("b", State.FAILED)).source


def test_a_batch_without_jobs_is_a_page_too() -> None:
    shown = page()
    assert "No jobs." in shown.texts
    assert shown.all("form") == []


def test_the_filter_offers_the_states_that_there_are() -> None:
    shown = page(job_row("a"), job_row("b", State.FAILED), job_row("c", State.FAILED))
    offered = [b["data-show"] for b in shown.all("button")]
    assert offered == ["", "failed", "done"]


def test_there_are_not_more_cards_than_a_browser_likes() -> None:
    rows = [job_row(f"v{n}") for n in range(5)] + [job_row(f"f{n}", State.FAILED) for n in range(3)]
    assert [(k, len(shown), more) for k, shown, more in arrange(rows, most=4)] == [
        ("problem", 3, 0),
        ("done", 1, 4),
    ]


def test_the_page_says_what_it_leaves_out_and_what_shows_it() -> None:
    rows = [job_row(f"v{n}") for n in range(3_002)]
    shown = page(*rows, without_poster=7, posters_in_all=500, rehearsal=True)
    words = " ".join(shown.texts)
    assert len(shown.all("article")) == 3_000
    assert "2 more jobs have no card" in words
    assert "orchestrator export spring --emulator" in words
    assert "7 videos were left without a picture" in words
    assert "orchestrator report spring --emulator" in words
    assert "Only the first 500 videos have a picture" in words


def test_the_commands_to_type_are_quoted_for_a_shell() -> None:
    batch = replace(BATCH, manifest=Path("/my project/jobs.yaml"))
    shown = page(job_row("a", State.FAILED), batch=batch, rehearsal=True)
    assert "orchestrator run '/my project/jobs.yaml' --emulator --retry-failed" in shown.texts
