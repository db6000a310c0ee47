"""Counting what a run has done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.tally import RATE_WINDOW_S, Tally
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    EventKind,
    Job,
    JobId,
    JobKey,
    JobSpec,
    Revision,
    State,
)

E, S = EventKind, State
SPEC = JobSpec(
    job_id=JobId("a"),
    avatar_kind=AvatarKind.PUBLIC,
    avatar="3327",
    audio_kind=AudioKind.TEXT,
    audio="Hi.",
    output=Path("/out/a.mp4"),
)


def job(state: State, number: int = 1, **more: Any) -> Job:
    key, revision = JobKey(number), Revision("r")
    return Job(
        key=key, job_id=JobId(f"j{number}"), state=state, version=1, spec=SPEC, revision=revision,
        **more,
    )  # fmt: skip


def tally(**counts: int) -> Tally:
    found = Tally(started=0.0)
    found.begin({State(name): n for name, n in counts.items()})
    return found


def counts(found: Tally) -> dict[str, int]:
    return {state.value: n for state, n in found.counts.items() if n}


def test_a_job_is_counted_where_it_went() -> None:
    found = tally(ready=2, done=1)
    found.moved(job(S.READY), job(S.SUBMITTING), E.SUBMIT_INTENT, 1.0)
    found.moved(job(S.SUBMITTING), job(S.SUBMITTED), E.SUBMIT_ACCEPTED, 2.0)
    assert counts(found) == {"ready": 1, "done": 1, "submitted": 1}
    assert found.submitted == 1


def test_a_finished_video_counts_as_downloaded_and_done_here() -> None:
    found = tally(rendered=1)
    found.moved(job(S.RENDERED), job(S.DONE), E.DOWNLOADED, 1.0)
    assert (found.downloaded, found.done_here, counts(found)) == (1, 1, {"done": 1})


def test_a_failure_is_no_job_done() -> None:
    found = tally(submitted=1)
    found.moved(job(S.SUBMITTED), job(S.FAILED), E.TASK_FAILED, 1.0)
    assert (found.done_here, counts(found)) == (0, {"failed": 1})


@pytest.mark.parametrize("outside", [{"selected": False}, {"orphan": True}])
def test_a_job_outside_the_selection_is_fetched_but_not_counted_by_state(
    outside: dict[str, bool],
) -> None:
    found = tally(ready=1)
    found.moved(job(S.RENDERED, **outside), job(S.DONE, **outside), E.DOWNLOADED, 1.0)
    assert (found.downloaded, found.done_here, counts(found)) == (1, 0, {"ready": 1})


class TestReached:
    def stages(self, found: Tally) -> tuple[int, ...]:
        return tuple(found.reached().values())

    def test_each_stage_counts_the_jobs_that_have_it_behind_them(self) -> None:
        found = tally(pending=1, ready=2, submitting=4, submitted=8, rendered=16, done=32)
        assert self.stages(found) == (62, 56, 48, 32)

    def test_a_job_in_doubt_counts_as_submitted(self) -> None:
        assert self.stages(tally(in_doubt=1, pending=1)) == (1, 1, 0, 0)

    def test_a_job_that_fails_has_got_as_far_as_it_got(self) -> None:
        found = tally(pending=1, submitted=1, rendered=1)
        assert self.stages(found) == (2, 2, 1, 0)
        found.moved(job(S.SUBMITTED), job(S.FAILED), E.TASK_FAILED, 1.0)
        found.moved(job(S.RENDERED), job(S.FAILED), E.DOWNLOAD_FAILED, 2.0)
        found.moved(job(S.PENDING), job(S.FAILED), E.UPLOAD_FAILED, 3.0)
        assert self.stages(found) == (2, 2, 1, 0)

    def test_a_job_that_failed_before_the_run_began_counts_nowhere(self) -> None:
        assert self.stages(tally(failed=3, cancelled=1)) == (0, 0, 0, 0)

    def test_no_stage_ever_goes_back(self) -> None:
        found = tally(submitted=2, done=1)
        assert self.stages(found) == (3, 3, 1, 1)
        found.moved(job(S.SUBMITTED), job(S.READY), E.RENDER_AGAIN, 1.0)
        found.moved(job(S.READY), job(S.PENDING), E.FILES_EXPIRED, 2.0)
        assert self.stages(found) == (3, 3, 1, 1)

    def test_no_stage_exceeds_the_number_of_jobs(self) -> None:
        found = tally(submitted=1)
        found.moved(job(S.SUBMITTED), job(S.FAILED), E.TASK_FAILED, 1.0)
        found.moved(job(S.FAILED), job(S.SUBMITTED), E.RETRY_POLL, 2.0)
        assert self.stages(found) == (1, 1, 0, 0)


class TestOverdue:
    def test_a_task_is_overdue_until_it_ends(self) -> None:
        found = tally(submitted=1)
        found.moved(job(S.SUBMITTED), job(S.SUBMITTED, overdue=True), E.TASK_OVERDUE, 1.0)
        assert found.overdue == 1
        found.moved(job(S.SUBMITTED, overdue=True), job(S.RENDERED), E.TASK_SUCCEEDED, 2.0)
        assert found.overdue == 0

    def test_one_that_was_overdue_when_the_run_began_does_not_count_below_zero(self) -> None:
        found = tally(submitted=1)
        found.moved(job(S.SUBMITTED, overdue=True), job(S.RENDERED), E.TASK_SUCCEEDED, 2.0)
        assert found.overdue == 0

    def test_orphans_do_not_count(self) -> None:
        found, orphan = tally(), job(S.SUBMITTED, overdue=True, orphan=True)
        found.moved(job(S.SUBMITTED, orphan=True), orphan, E.TASK_OVERDUE, 1.0)
        assert found.overdue == 0


class TestRate:
    def ended(self, found: Tally, times: list[float]) -> Tally:
        for number, at in enumerate(times):
            found.moved(job(S.RENDERED, number), job(S.DONE, number), E.DOWNLOADED, at)
        return found

    def test_nothing_is_said_before_the_second_end(self) -> None:
        assert self.ended(tally(rendered=9), [5.0]).rate_per_s(10.0) is None

    def test_it_is_measured_from_the_start_of_the_run(self) -> None:
        found = self.ended(tally(rendered=9), [10.0, 20.0, 30.0, 40.0])
        assert found.rate_per_s(40.0) == pytest.approx(0.1)

    def test_it_is_measured_over_the_last_quarter_of_an_hour(self) -> None:
        late = [RATE_WINDOW_S * 10 + n * 10 for n in range(90)]
        found = self.ended(tally(rendered=999), [float(n) for n in range(500)] + late)
        assert found.rate_per_s(late[-1] + 10) == pytest.approx(0.1, rel=0.02)

    def test_it_forgets_a_night_in_which_nothing_ended(self) -> None:
        found = self.ended(tally(rendered=9), [10.0, 20.0, 30.0])
        assert found.rate_per_s(30.0 + 2 * RATE_WINDOW_S) is None

    def test_it_is_right_for_more_ends_than_are_remembered(self) -> None:
        found = self.ended(tally(rendered=9999), [n / 10 for n in range(1, 8001)])
        assert found.rate_per_s(800.0) == pytest.approx(10.0, rel=0.01)


def test_what_remains_is_what_neither_rests_nor_is_in_doubt() -> None:
    found = tally(
        pending=1, ready=2, submitting=4, submitted=8, rendered=16, in_doubt=32, done=64, failed=128
    )
    assert found.remaining() == 1 + 2 + 4 + 8 + 16
