"""Watching the vendor's tasks: what an answer means, and when the next question comes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.hazard import Sample, kinds_of
from orchestrator.core.outcome import TaskFate, TaskView
from orchestrator.engine.flow import Flow
from orchestrator.engine.tasks import (
    LOST_AFTER,
    NO_URL_AFTER,
    SILENT_QUESTIONS,
    Tasks,
    Watch,
    task_event,
)
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    Event,
    EventKind,
    Job,
    JobId,
    JobKey,
    JobSpec,
    Limits,
    Mode,
    Revision,
    Settings,
    State,
    TaskId,
)

E, F = EventKind, TaskFate
NOW, WALL = 5_000.0, 1_800_000_000.0
DEADLINE_S = 7200.0
SPEC = JobSpec(
    job_id=JobId("a"),
    avatar_kind=AvatarKind.PUBLIC,
    avatar="3327",
    audio_kind=AudioKind.TEXT,
    audio="Hi.",
    output=Path("/out/a.mp4"),
)


def job(number: int = 1, **more: Any) -> Job:
    fixed: dict[str, Any] = {"task_id": TaskId(f"t{number}"), "accepted_at": WALL}
    return Job(
        key=JobKey(number), job_id=JobId(f"j{number}"), state=State.SUBMITTED, version=3,
        spec=SPEC, revision=Revision("r"), **{**fixed, **more},
    )  # fmt: skip


def watch(deadline: float = NOW + 1, **more: Any) -> Watch:
    return Watch(job=job(**more), deadline=deadline)


def told(found: Watch, *fates: TaskFate, now: float = NOW) -> Event | None:
    """The event after the last of these answers."""
    event = None
    for fate in fates:
        event = task_event(found, TaskView(fate=fate), now=now, wall=WALL)
    return event


def kind(event: Event | None) -> EventKind | None:
    return None if event is None else event.kind


ANSWERS: list[tuple[str, list[TaskFate], EventKind | None]] = [
    ("not finished", [F.PENDING], None),
    ("finished", [F.SUCCESS], E.TASK_SUCCEEDED),
    ("given up by the vendor", [F.FAILED], E.TASK_FAILED),
    ("no information", [F.NO_INFORMATION], None),
    ("too many requests", [F.BUSY], None),
    ("credentials refused: the task is what it was", [F.AUTH], None),
    ("unknown to the vendor, once", [F.UNKNOWN_TASK], None),
    ("unknown three times: it may be behind itself", [F.UNKNOWN_TASK] * 3, None),
    ("unknown four times", [F.UNKNOWN_TASK] * 4, E.TASK_LOST),
    ("unknown, then known", [F.UNKNOWN_TASK] * 3 + [F.PENDING, F.UNKNOWN_TASK], None),
    ("unknown, with lost answers between",
     [F.UNKNOWN_TASK, F.NO_INFORMATION, F.UNKNOWN_TASK, F.BUSY] * 2, None),
    ("unknown four times, with lost answers between",
     [F.UNKNOWN_TASK, F.NO_INFORMATION] * 3 + [F.UNKNOWN_TASK], E.TASK_LOST),
    ("success without a video", [F.NO_URL], None),
    ("success without a video, four times", [F.NO_URL] * 4, None),
    ("success without a video, five times", [F.NO_URL] * 5, E.TASK_LOST),
    ("success without a video, then with it", [F.NO_URL, F.NO_URL, F.SUCCESS], E.TASK_SUCCEEDED),
    ("never an answer, for days: nothing is lost", [F.NO_INFORMATION] * 100, None),
]  # fmt: skip


@pytest.mark.parametrize(("fates", "event"), [r[1:] for r in ANSWERS], ids=[r[0] for r in ANSWERS])
def test_an_answer_means(fates: list[TaskFate], event: EventKind | None) -> None:
    assert kind(told(watch(), *fates)) is event


LATE: list[tuple[str, TaskFate, EventKind]] = [
    ("not finished", F.PENDING, E.TASK_OVERDUE),
    ("unknown, once", F.UNKNOWN_TASK, E.TASK_OVERDUE),
    ("finished after all", F.SUCCESS, E.TASK_SUCCEEDED),
    ("failed after all", F.FAILED, E.TASK_FAILED),
]


@pytest.mark.parametrize(("fate", "event"), [r[1:] for r in LATE], ids=[r[0] for r in LATE])
def test_at_the_deadline_an_answer_means(fate: TaskFate, event: EventKind) -> None:
    assert kind(told(watch(deadline=NOW), fate)) is event


def test_one_lost_answer_at_the_deadline_does_not_make_a_task_overdue() -> None:
    assert told(watch(deadline=NOW), F.NO_INFORMATION) is None


def test_silence_at_the_deadline_makes_a_task_overdue_after_some_questions() -> None:
    late = watch(deadline=NOW)
    late.asked = SILENT_QUESTIONS
    assert kind(told(late, F.NO_INFORMATION)) is E.TASK_OVERDUE


def test_an_overdue_task_is_not_called_so_twice() -> None:
    assert told(watch(deadline=NOW - 1, overdue=True), F.PENDING) is None


def test_an_overdue_task_that_finishes_is_welcome() -> None:
    assert kind(told(watch(deadline=NOW - 1, overdue=True), F.SUCCESS)) is E.TASK_SUCCEEDED


def test_success_keeps_the_cost_that_the_vendor_names() -> None:
    view = TaskView(fate=F.SUCCESS, url="https://cdn.example/v.mp4?sig=1", cost_credit=1.5)
    event = task_event(watch(), view, now=NOW, wall=WALL)
    assert event == Event(kind=E.TASK_SUCCEEDED, at=WALL, data={"credits": 1.5})


def test_a_failed_task_carries_the_vendors_words_and_a_reason_to_count() -> None:
    view = TaskView(fate=F.FAILED, reason="task:fail", message="Model service unavailable")
    event = task_event(watch(), view, now=NOW, wall=WALL)
    assert event is not None
    assert event.reason == "task:fail"
    assert event.message == "the vendor could not render it: Model service unavailable"


@pytest.mark.parametrize(
    ("fate", "times", "reason"),
    [(F.UNKNOWN_TASK, LOST_AFTER, "task:unknown"), (F.NO_URL, NO_URL_AFTER, "task:no_url")],
)
def test_a_lost_task_says_why_and_how_often_it_was_asked_about(
    fate: TaskFate, times: int, reason: str
) -> None:
    event = told(watch(), *[fate] * times)
    assert event is not None
    assert event.reason == reason
    assert f"asked {times} times" in event.message


def tasks(poll_interval_s: float = 5.0) -> Tasks:
    limits = Limits(poll_interval_s=poll_interval_s)
    return Tasks(
        Settings(limits=limits, task_deadline_s=DEADLINE_S), Flow(limits, random.Random(1))
    )


def adopted(found: Tasks, *, at_once: bool = False, wall: float = WALL, **more: Any) -> Watch:
    one = job(**more)
    found.adopt(one, now=NOW, wall=wall, at_once=at_once)
    return found.watches[one.key]


class TestQuestions:
    def test_a_task_found_at_start_up_is_asked_about_at_once(self) -> None:
        found = tasks()
        adopted(found, at_once=True)
        assert found.schedule.next_due() == NOW

    def test_a_new_task_is_asked_about_after_the_poll_interval(self) -> None:
        found = tasks()
        adopted(found)
        assert found.schedule.next_due() == pytest.approx(NOW + 5.0, rel=0, abs=0.5)

    def wait_s(self, found: Tasks, rounds: int = 1) -> float:
        key = JobKey(1)
        for _ in range(rounds):
            found.schedule.take_due(float("inf"), 9)
            found.again(key, NOW)
        due = found.schedule.next_due()
        assert due is not None
        return due - NOW

    @pytest.mark.parametrize(("rounds", "wait_s"), [(1, 6.25), (2, 7.81), (5, 15.0), (50, 15.0)])
    def test_later_questions_come_less_often(self, rounds: int, wait_s: float) -> None:
        found = tasks()
        adopted(found)
        assert self.wait_s(found, rounds) == pytest.approx(wait_s, rel=0.11)

    def test_a_task_that_the_vendor_does_not_know_is_asked_about_every_ten_seconds(self) -> None:
        found = tasks()
        told(adopted(found), F.UNKNOWN_TASK)
        assert self.wait_s(found) == 10.0

    def test_an_overdue_task_is_asked_about_every_five_minutes(self) -> None:
        found = tasks()
        adopted(found)
        found.became_overdue(job(overdue=True))
        assert self.wait_s(found) == 300.0

    def test_all_waits_scale_with_the_poll_interval(self) -> None:
        found = tasks(poll_interval_s=0.05)
        adopted(found)
        assert self.wait_s(found, 9) == pytest.approx(0.15, rel=0.11)
        told(found.watches[JobKey(1)], F.UNKNOWN_TASK)
        assert self.wait_s(found) == pytest.approx(0.1)
        told(found.watches[JobKey(1)], F.PENDING)
        found.became_overdue(job(overdue=True))
        assert self.wait_s(found) == pytest.approx(3.0)


DEADLINES: list[tuple[str, dict[str, Any], float]] = [
    ("accepted just now", {}, NOW + DEADLINE_S),
    ("accepted an hour ago", {"wall": WALL + 3600}, NOW + DEADLINE_S - 3600),
    ("accepted a day ago", {"wall": WALL + 86400}, NOW + DEADLINE_S - 86400),
    ("the wall clock went backwards: from now", {"wall": WALL - 500}, NOW + DEADLINE_S),
    ("accepted at an unknown time: from now", {"accepted_at": None}, NOW + DEADLINE_S),
]


@pytest.mark.parametrize(
    ("adoption", "deadline"), [r[1:] for r in DEADLINES], ids=[r[0] for r in DEADLINES]
)
def test_the_deadline_of_a_task(adoption: dict[str, Any], deadline: float) -> None:
    assert adopted(tasks(), **adoption).deadline == pytest.approx(deadline)


class TestCounts:
    def test_a_rendering_task_keeps_the_run_alive(self) -> None:
        found = tasks()
        adopted(found)
        assert (found.live(), found.rendering()) == (1, 1)

    def test_a_task_that_becomes_overdue_does_not(self) -> None:
        found = tasks()
        adopted(found)
        found.became_overdue(job(overdue=True))
        found.again(JobKey(1), NOW)
        assert (found.live(), found.rendering()) == (0, 0)

    def test_one_that_was_overdue_before_does_until_it_was_asked_about(self) -> None:
        found = tasks()
        adopted(found, at_once=True, overdue=True)
        assert (found.live(), found.rendering()) == (1, 0)
        found.again(JobKey(1), NOW)
        assert (found.live(), found.rendering()) == (0, 0)

    @pytest.mark.parametrize("overdue", [True, False])
    def test_a_task_that_ended_leaves_nothing_behind(self, overdue: bool) -> None:
        found = tasks()
        adopted(found, overdue=overdue)
        found.drop(JobKey(1))
        assert (found.live(), found.rendering(), found.watches) == (0, 0, {})
        assert found.schedule.next_due() is None

    def test_a_task_that_nobody_watches_may_be_dropped(self) -> None:
        found = tasks()
        found.drop(JobKey(77))
        assert found.live() == 0


class TestSamples:
    """What a task's end teaches about how long such tasks take."""

    def seen(self, found: Tasks, *ages_s: float) -> Watch:
        one = adopted(found)
        found.began(JobKey(1))
        for age in ages_s:
            found.unfinished(one, None, NOW + age)
        return one

    def test_it_ended_between_the_last_question_and_this_answer(self) -> None:
        found = tasks()
        one = self.seen(found, 60.0, 90.0)
        assert found.sample(one, NOW + 95.0) == Sample(low_s=90.0, high_s=95.0)

    def test_a_notice_tells_when_it_ended(self) -> None:
        found = tasks()
        one = self.seen(found, 60.0)
        found.hint(TaskId("t1"), NOW + 100.0)
        assert found.sample(one, NOW + 101.0) == Sample(low_s=99.0, high_s=101.0)

    def test_a_notice_that_came_too_soon_is_forgotten(self) -> None:
        found = tasks()
        one = self.seen(found)
        found.hint(TaskId("t1"), NOW + 50.0)
        found.unfinished(one, None, NOW + 50.1)
        sample = found.sample(one, NOW + 80.0)
        assert sample is not None and sample.low_s == pytest.approx(50.1)

    def test_a_task_that_this_run_did_not_make_teaches_nothing(self) -> None:
        found = tasks()
        one = adopted(found, at_once=True)
        found.unfinished(one, None, NOW + 60.0)
        assert found.sample(one, NOW + 90.0) is None

    def test_a_success_that_came_without_its_video_at_first_teaches_nothing(self) -> None:
        found = tasks()
        one = self.seen(found, 60.0)
        told(one, F.NO_URL)
        assert found.sample(one, NOW + 90.0) is None

    def test_learned_durations_place_the_first_question(self) -> None:
        limits = Limits(in_flight=4)
        flow = Flow(limits, random.Random(1))
        for n in range(40):
            sample = Sample(low_s=99.0 + n, high_s=101.0 + n)
            flow.taught(kinds_of(Mode.AVATAR1, None), sample, now=NOW, wall=WALL)
        found = Tasks(Settings(limits=limits), flow)
        adopted(found)
        due = found.schedule.next_due()
        assert due is not None and NOW + 40.0 < due < NOW + 100.0

    def test_overdue_tasks_are_not_among_those_in_flight(self) -> None:
        found = tasks()
        adopted(found)
        found.adopt(job(2, accepted_at=WALL - 9.0), now=NOW, wall=WALL, at_once=True)
        found.became_overdue(job(overdue=True))
        assert found.young(NOW) == [(("avatar1", "any"), 9.0)]
        assert found.in_flight() == 1

    def test_it_is_known_which_tasks_came_before_one_and_which_render(self) -> None:
        found = tasks()
        for number in (1, 2, 3):
            found.adopt(
                job(number, accepted_at=WALL - 10.0 + number), now=NOW, wall=WALL, at_once=True
            )
        third = found.watches[JobKey(3)]
        found.unfinished(found.watches[JobKey(1)], True, NOW)
        found.unfinished(third, False, NOW)
        assert (found.accepted_before(third), found.seen_rendering()) == (2, 1)
        found.drop(JobKey(1))
        assert (found.accepted_before(third), found.seen_rendering()) == (1, 0)
