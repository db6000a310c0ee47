"""Watching a run: the live view on a terminal, plain lines elsewhere, and the signals."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from cli_fakes import NOON, FakeRun, FakeSchedule, Screen, problem, progress
from rich.console import Console

from orchestrator.cli import words
from orchestrator.cli.audience import Everybody, view_of
from orchestrator.cli.frame import ASCII, frame
from orchestrator.cli.interrupts import Interrupts
from orchestrator.cli.lines import Lines, pulse
from orchestrator.cli.live import LiveView, drawable
from orchestrator.cli.writer import Writer, every
from orchestrator.engine.progress import Level, Progress
from orchestrator.model import State

COUNTS = {
    State.PENDING: 340,
    State.READY: 50,
    State.SUBMITTED: 2,
    State.RENDERED: 3,
    State.IN_DOUBT: 1,
    State.DONE: 100,
    State.FAILED: 4,
}
BUSY = progress(
    COUNTS, uploading=2, rendering=2, slots=2, downloading=1, rate_per_h=58.2, eta_s=19_000
)


def test_a_frame_shows_stages_states_slots_pace_and_problems() -> None:
    text = frame(BUSY, [problem("no such voice")], 71, ASCII).plain
    assert text.splitlines() == [
        "spring | running | 12 min 4 s",
        "",
        "  prepared   ############----------------------------  156 of 500   31%",
        "  submitted  ########--------------------------------  106 of 500   21%",
        "  rendered   ########--------------------------------  103 of 500   20%",
        "  done       ########x-------------------------------  100 of 500   20%",
        "",
        "  under way  340 pending | 50 ready | 2 submitted | 3 rendered",
        "  at rest    100 done | x 4 failed | 1 in doubt",
        "  now        2 of 2 slots rendering | 2 uploading | 1 downloading",
        "  pace       58 per hour | ETA 5 h 17 min",
        "",
        f"  {words.clock(NOON)} job-7: no such voice",
        " ",
        " ",
    ]


def test_the_last_frame_says_that_the_run_ended_and_promises_nothing() -> None:
    lines = frame(BUSY, [], 80, ASCII, over=True).plain.splitlines()
    assert lines[0] == "spring | ended | 12 min 4 s"
    assert lines[9:11] == ["  now        -", "  pace       58 per hour"]


def test_the_second_shade_of_the_last_bar_is_named_where_the_lost_jobs_are_counted() -> None:
    shown = progress({State.DONE: 5, State.FAILED: 2, State.CANCELLED: 3})
    lines = frame(shown, [], 80).plain.splitlines()
    assert lines[5].count("▒") == 24
    assert lines[8] == "  at rest    5 done · ▒ 2 failed · ▒ 3 cancelled"


def test_a_bar_has_no_gap_when_every_job_is_done_or_lost() -> None:
    bar = frame(progress({State.DONE: 7, State.FAILED: 2}), [], 80).plain.splitlines()[5]
    assert (bar.count("█"), bar.count("▒"), bar.count("░")) == (37, 11, 0)


def test_a_bar_is_full_only_when_every_job_is_there() -> None:
    almost = frame(progress({State.DONE: 9_999, State.READY: 1}), [], 80, ASCII).plain
    whole = frame(progress({State.DONE: 10_000}), [], 80, ASCII).plain
    assert "-   9,999 of 10,000   99%" in almost.splitlines()[5]
    assert "#  10,000 of 10,000  100%" in whole.splitlines()[5]


@pytest.mark.parametrize("width", [20, 33, 45, 80, 200])
@pytest.mark.parametrize("shown", [progress({}), BUSY, progress(dict.fromkeys(State, 99_999))])
def test_a_frame_keeps_its_height_and_never_exceeds_the_width(width: int, shown: Progress) -> None:
    for count in range(5):
        lines = frame(shown, [problem("long " * 60)] * count, width).plain.split("\n")
        assert len(lines) == 15
        assert max(map(len, lines)) <= width


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def live(width: int = 80) -> tuple[LiveView, Terminal, FakeSchedule]:
    stream, schedule = Terminal(), FakeSchedule()
    console = Console(file=stream, force_terminal=True, width=width, height=24, color_system=None)
    return LiveView("jobs.yaml", console, Writer(), schedule=schedule), stream, schedule


def ended(view: LiveView | Lines) -> None:
    view.finish()
    view.close()


def test_the_view_leaves_its_last_frame_on_the_terminal_once() -> None:
    view, stream, schedule = live()
    run = FakeRun(BUSY)
    view.start()
    view.watch(run)
    schedule.tick()
    run.shown = progress({State.DONE: 500})
    ended(view)
    lines = Screen().feed(stream.getvalue()).lines()
    assert lines[0] == "spring · ended · 12 min 4 s"
    assert [line for line in lines if "spring" in line] == [lines[0]]
    assert "500 of 500  100%" in lines[5]


def test_a_run_that_ends_before_the_first_tick_shows_no_view() -> None:
    view, stream, _ = live()
    view.start()
    ended(view)
    assert stream.getvalue() == ""


def test_what_was_shown_before_the_run_began_to_work_disappears() -> None:
    view, stream, schedule = live()
    view.start()
    schedule.tick()
    ended(view)
    assert "reading the manifest" in stream.getvalue()
    assert Screen().feed(stream.getvalue()).lines() == []


def test_sentences_and_stop_notices_stand_whole_above_the_view() -> None:
    view, stream, schedule = live(width=40)
    view.start()
    view.watch(FakeRun(BUSY))
    view.notice(problem("ten refusals in a row for one reason: the rest stays", None, Level.STOP))
    schedule.tick()
    view.say("SIGINT: starting nothing more")
    ended(view)
    lines = Screen().feed(stream.getvalue()).lines()
    assert lines[:4] == [
        "ten refusals in a row for one reason:",
        "the rest stays",
        "SIGINT: starting nothing more",
        "spring · ended · 12 min 4 s",
    ]


def test_the_last_three_problems_stay_in_the_view() -> None:
    view, stream, _ = live()
    view.start()
    view.watch(FakeRun(BUSY))
    for n in range(5):
        view.notice(problem(f"trouble {n}"))
    view.notice(problem("merely told", level=Level.INFO))
    ended(view)
    lines = Screen().feed(stream.getvalue()).lines()
    assert [line[-9:] for line in lines[-3:]] == ["trouble 2", "trouble 3", "trouble 4"]


def test_what_is_printed_meanwhile_appears_above_the_view() -> None:
    view, stream, schedule = live()
    view.start()
    view.watch(FakeRun(BUSY))
    drawn = threading.Event()
    view._writer.put(lambda: (print("a log line"), drawn.set()))
    assert drawn.wait(5)
    schedule.tick()
    ended(view)
    assert Screen().feed(stream.getvalue()).lines()[:2] == [
        "a log line",
        "spring · ended · 12 min 4 s",
    ]


def test_a_terminal_that_takes_nothing_delays_frames_and_not_the_run() -> None:
    view, stream, schedule = live()
    taken = threading.Event()
    view.start()
    view._writer.put(lambda: taken.wait(5))
    view._writer.put(lambda: None)
    for _ in range(100):
        schedule.tick()
    assert stream.getvalue() == ""
    taken.set()
    ended(view)


def test_no_color_leaves_no_colour_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    console = drawable(stream)
    assert console is not None
    view = LiveView("jobs.yaml", console, Writer(), schedule=FakeSchedule())
    view.watch(FakeRun(BUSY))
    ended(view)
    assert "spring" in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()
    assert "\x1b[9" not in stream.getvalue()


@pytest.mark.parametrize(("term", "kind"), [("xterm", LiveView), ("dumb", Lines)])
def test_the_view_fits_the_terminal(
    term: str, kind: type[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    view = view_of("jobs.yaml", quiet=False, stream=Terminal())
    view.close()
    assert type(view) is kind


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (Terminal(), True)])
def test_without_a_terminal_or_when_quiet_there_are_lines(stream: io.StringIO, quiet: bool) -> None:
    view = view_of("jobs.yaml", quiet=quiet, stream=stream)
    view.close()
    assert isinstance(view, Lines)


def test_without_a_terminal_there_is_a_line_a_minute_and_one_per_problem() -> None:
    stream, schedule = io.StringIO(), FakeSchedule()
    view = Lines(stream, Writer(), schedule=schedule)
    view.start()
    view.watch(FakeRun(BUSY))
    schedule.tick()
    view.notice(problem("the vendor says:\n no such \x1b[31mvoice"))
    view.notice(problem("merely told", level=Level.INFO))
    view.notice(problem("ten refusals in a row", None, Level.STOP))
    ended(view)
    now, noon = words.clock(BUSY.now), words.clock(NOON)
    standing = "100 of 500 done, 4 failed, 1 in doubt"
    assert schedule.intervals == [60.0]
    assert stream.getvalue().splitlines() == [
        f"{now} spring: run begins, {standing}",
        f"{now} spring: {standing}, 2 uploading, 2 rendering, 1 downloading, ETA 5 h 17 min",
        f"{noon} problem: job-7: the vendor says: no such [31mvoice",
        f"{noon} stop: ten refusals in a row",
        f"{now} spring: run ends after 12 min 4 s, {standing}",
    ]


def test_quiet_lines_are_problems_and_reasons_to_stop_only() -> None:
    stream, schedule = io.StringIO(), FakeSchedule()
    view = Lines(stream, Writer(), quiet=True, schedule=schedule)
    view.watch(FakeRun(BUSY))
    view.notice(problem("no such voice"))
    ended(view)
    assert schedule.ticks == []
    assert stream.getvalue() == f"{words.clock(NOON)} problem: job-7: no such voice\n"


def test_a_line_says_what_the_run_waits_for() -> None:
    shown = progress({State.READY: 3}, draining=True, waiting_for="submits pause for 9 s")
    assert pulse(shown) == "0 of 3 done, starting nothing more, submits pause for 9 s"


def test_what_is_told_before_the_run_works_is_shown_and_not_later() -> None:
    for make in (live, lined):
        view, stream, _ = make()
        view.start()
        view.notice(problem("balance: 12 credits", None, Level.INFO))
        view.watch(FakeRun(BUSY))
        view.notice(problem("merely told", level=Level.INFO))
        ended(view)
        assert "balance: 12 credits" in stream.getvalue()
        assert "merely told" not in stream.getvalue()


def lined() -> tuple[Lines, io.StringIO, FakeSchedule]:
    stream, schedule = io.StringIO(), FakeSchedule()
    return Lines(stream, Writer(), schedule=schedule), stream, schedule


def test_a_stream_that_is_gone_is_no_trouble_for_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stream:
        view = Lines(stream, Writer(), schedule=FakeSchedule())
        view.watch(FakeRun(BUSY))
        view.notice(problem("no such voice"))
        ended(view)


async def test_the_schedule_ticks_until_it_is_stopped() -> None:
    twice = asyncio.Event()
    times: list[float] = []

    def tick() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 2:
            stop()
            twice.set()

    stop = every(0.001, tick)
    await asyncio.wait_for(twice.wait(), 5)
    await asyncio.sleep(0.01)
    assert len(times) == 2


def interrupts() -> tuple[Interrupts, list[str], FakeRun]:
    said: list[str] = []
    return Interrupts(said.append, "orchestrator run jobs.yaml"), said, FakeRun()


@pytest.mark.parametrize(
    ("number", "reason", "code"),
    [
        (signal.SIGINT, "SIGINT", 130),
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGHUP, "SIGTERM", 143),
    ],
)
def test_the_first_signal_drains_and_says_how_to_resume(
    number: int, reason: str, code: int
) -> None:
    heard, said, run = interrupts()
    heard.watch(run)
    heard.hear(number)
    assert run.told == [f"drain {reason}"]
    assert heard.exit_code == code
    again = "Once more (Ctrl-C)" if number == signal.SIGINT else "A second signal"
    assert f"{again} stops at once" in said[0]
    assert ("Ctrl-C" in said[0]) is (number == signal.SIGINT)
    assert said[0].endswith("orchestrator run jobs.yaml")


def test_the_second_signal_stops_at_once_and_keeps_the_first_code() -> None:
    heard, said, run = interrupts()
    heard.watch(run)
    heard.hear(signal.SIGTERM)
    heard.hear(signal.SIGINT)
    assert run.told == ["drain SIGTERM", "abort"]
    assert heard.exit_code == 143
    assert said[1] == "Stopping at once. To go on later: orchestrator run jobs.yaml"


async def test_a_signal_before_any_work_ends_the_command() -> None:
    heard, said, _ = interrupts()
    task: asyncio.Task[object] = asyncio.create_task(asyncio.Event().wait())
    heard.listen(task)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert heard.exit_code == 143
    assert said == ["Stopping before any work began: nothing was sent."]
    heard.forget()


async def test_an_ignored_hangup_stays_ignored(restore_hangup: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard, _, _ = interrupts()
    task: asyncio.Task[object] = asyncio.create_task(asyncio.Event().wait())
    heard.listen(task)
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    heard.forget()
    assert heard.exit_code == 130


@pytest.fixture
def restore_hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_everybody_hears_everything() -> None:
    stream = io.StringIO()
    lines = Lines(stream, Writer(), quiet=True, schedule=FakeSchedule())
    heard, _, run = interrupts()
    everybody = Everybody([heard, lines])
    everybody.watch(run)
    everybody.notice(problem("no such voice"))
    heard.hear(signal.SIGINT)
    ended(lines)
    assert run.told == ["drain SIGINT"]
    assert "no such voice" in stream.getvalue()
