"""What a plan says of its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.cli.planned import plan_lines
from orchestrator.report.views import PlanView, pace_of


def time_line(render_s: float, videos: int) -> str:
    pace = pace_of(40, interval_s=1.0, in_flight=4, render_s=render_s)
    view = PlanView(
        batch="b",
        manifest="jobs.yaml",
        rehearsal=True,
        lines=(),
        upload_files=0,
        upload_bytes=0,
        uploaded_already=0,
        submits=40,
        credits_estimate=40.0,
        balance=None,
        at_least_s=40.0,
        pace=replace(pace, learned=videos > 0, videos=videos),
    )
    [line] = [line for line in plan_lines(view, None) if line.startswith("time")]
    return line


@pytest.mark.parametrize(
    ("render_s", "videos", "words"),
    [
        (160.0, 0, "assumed 2 min 40 s a video, 4 at once"),
        (8.0, 1, "learned from 1 video: 8 s a video, 4 at once"),
        (8.0, 12, "learned from 12 videos: 8 s a video, 4 at once"),
        (0.32, 12, "learned from 12 videos: 0.3 s a video, 4 at once"),
    ],
)
def test_the_time_of_a_video_is_told_with_its_source(
    render_s: float, videos: int, words: str
) -> None:
    assert f"(estimate: {words})" in time_line(render_s, videos)
