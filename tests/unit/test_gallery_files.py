"""Where a page goes, what is never written over, and that a file appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_kit import BATCH, HOME, job_row

from orchestrator.errors import UsageError
from orchestrator.report.files import may_replace, place_of_page, replacing, spare
from orchestrator.report.gallery import MARK


@pytest.mark.parametrize(
    ("outputs", "place"),
    [
        (["/project/out/spring/a.mp4", "/project/out/spring/b.mp4"], "/project/out"),
        (["/project/out/a.mp4"], "/project"),
        (["/project/a.mp4"], "/project"),
        (["/project/de/a.mp4", "/project/fr/b.mp4"], "/project"),
        (["/videos/spring/a.mp4", "/videos/spring/x/b.mp4"], "/videos/spring"),
        (["/videos/a.mp4", "/other/b.mp4"], "/project"),
        ([], "/project"),
    ],
)
def test_the_page_lies_beside_the_videos_but_not_outside_the_project(
    outputs: list[str], place: str
) -> None:
    rows = [job_row(f"j{n}", output=output) for n, output in enumerate(outputs)]
    assert place_of_page(BATCH, rows, HOME) == Path(place) / "report-spring.html"


def test_a_rehearsal_stays_within_its_folder() -> None:
    rows = [job_row("a", output="/project/rehearsal/a.mp4")]
    place = place_of_page(BATCH, rows, HOME / "rehearsal")
    assert place == HOME / "rehearsal" / "report-spring.html"


def test_jobs_that_left_the_manifest_do_not_move_the_page() -> None:
    rows = [
        job_row("a", output="/project/out/spring/a.mp4"),
        job_row("b", output="/elsewhere/b.mp4", orphan=True),
    ]
    assert place_of_page(BATCH, rows, HOME).parent == HOME / "out"


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/project/jobs.yaml", "manifest"),
        ("/project/out/spring/a.mp4", "video"),
        ("/project/state/state.db", "state store"),
        ("/project/state/state.db-wal", "state store"),
    ],
)
def test_what_belongs_to_the_batch_is_not_written_over(path: str, whose: str) -> None:
    with pytest.raises(UsageError, match=f"{whose} and is not written over"):
        spare(Path(path), BATCH, [job_row("a")], HOME / "state" / "state.db")


def test_anything_else_may_be_written() -> None:
    spare(HOME / "state" / "a.csv", BATCH, [job_row("a")], HOME / "state" / "state.db")


def test_only_a_page_of_ours_is_replaced(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.html", tmp_path / "other.html"
    ours.write_text(f"<head>{MARK}")
    other.write_text("<head>")
    may_replace(ours, MARK)
    may_replace(tmp_path / "new.html", MARK)
    with pytest.raises(UsageError, match=r"other\.html is there and is no report"):
        may_replace(other, MARK)


def test_a_folder_in_the_place_of_the_page_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="directory"):
        may_replace(tmp_path, MARK)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new \ud83d")
        assert path.read_text() == "old"
    assert path.read_text() == "new \\ud83d"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_explained(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"cannot be written \(No such"),
        replacing(tmp_path / "none" / "page.html"),
    ):
        pass
