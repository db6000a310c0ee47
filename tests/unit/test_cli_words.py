"""Numbers and tables as people read them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from orchestrator.cli import tables, words
from orchestrator.cli.tables import Column
from orchestrator.model import State


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (724, "12 min 4 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h"),
        (18_600, "5 h 10 min"),
        (86_400, "1 d"),
        (273_600, "3 d 4 h"),
        (86_400_000, "1,000 d"),
    ],
)
def test_a_duration_has_two_units_at_the_most(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "under a minute"),
        (59, "under a minute"),
        (61, "2 min"),
        (2_460, "41 min"),
        (18_541, "5 h 10 min"),
        (36_001, "11 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_guessed_duration_is_rounded_up(seconds: float, text: str) -> None:
    assert words.roughly(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_549, "1.5 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (412_000_000, "412 MB"),
        (3_200_000_000, "3.2 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_a_size_has_three_digits_at_the_most(size_bytes: int, text: str) -> None:
    assert words.size(size_bytes) == text


@pytest.mark.parametrize(
    ("value", "noun", "text"),
    [
        (0, "job", "no jobs"),
        (1, "job", "1 job"),
        (12_345, "job", "12,345 jobs"),
        (2, "batch", "2 batches"),
    ],
)
def test_a_count_agrees_with_its_noun(value: int, noun: str, text: str) -> None:
    assert words.count(value, noun) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (12.0, "12"), (12.5, "12.5"), (1200, "1,200"), (0.333, "0.33")]
)
def test_credits_lose_trailing_zeros(value: float, text: str) -> None:
    assert words.credits(value) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.42, "0.4 per hour"), (58.2, "58 per hour"), (1200, "1,200 per hour")]
)
def test_a_slow_rate_keeps_a_decimal(rate: float, text: str) -> None:
    assert words.per_hour(rate) == text


@pytest.mark.parametrize(
    ("part", "total", "shown"), [(0, 3, 0), (999, 1000, 99), (3, 3, 100), (0, 0, 100)]
)
def test_a_hundred_percent_means_all(part: int, total: int, shown: int) -> None:
    assert words.percent(part, total) == shown


def test_one_line_has_no_control_characters() -> None:
    assert words.one_line("a\x1b[31m\tb\r\n c\x00") == "a [31m b c"


def test_a_tally_leaves_out_what_is_not_there() -> None:
    counts = {State.DONE: 1_200, State.IN_DOUBT: 2, State.FAILED: 0}
    assert words.tally(counts) == ["2 in doubt", "1,200 done"]


def test_a_command_is_quoted_for_the_shell() -> None:
    assert words.command("run", "my jobs.yaml") == "orchestrator run 'my jobs.yaml'"


@pytest.mark.parametrize("width", range(40, 90))
def test_a_line_never_ends_between_a_number_and_its_unit(width: int) -> None:
    text = (
        "  this run: 9 files uploaded, 8 jobs submitted, 8 videos downloaded, 1.5 MB, in 1 min 51 s"
    )
    lines = words.wrapped(text, "    ", width)
    assert " ".join(line.strip() for line in lines) == text.strip()
    assert max(map(len, lines)) <= width
    for whole in ("1.5 MB", "1 min 51 s"):
        assert sum(whole in line for line in lines) == 1


COLUMNS = (Column(title="ID", least=4), Column(title="OUTPUT", least=6, keep_end=True))


def test_a_table_that_fits_is_not_cut() -> None:
    lines = tables.fitted(COLUMNS, [["a", "/out/a.mp4"]], 80)
    assert lines == ["ID  OUTPUT", "a   /out/a.mp4"]


def test_a_path_loses_its_beginning_and_an_id_its_end() -> None:
    lines = tables.fitted(COLUMNS, [["a-long-job-id", "/a/long/way/to/a.mp4"]], 16)
    assert lines == ["ID       OUTPUT", "a-long…  …/a.mp4"]


@pytest.mark.parametrize("width", [200, 80, 40, 20, 8, 5])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    rows = [["ünï-" * 9, "/видео/日本語の道/" * 4 + "日本.mp4"], ["b", "c"]]
    assert max(map(cell_len, tables.fitted(COLUMNS, rows, width))) <= width


def test_the_widest_column_gives_way_first() -> None:
    assert tables.shares([10, 60, 30], [5, 5, 5], 70) == [10, 30, 30]


def test_a_column_that_must_not_shrink_keeps_its_width_as_long_as_it_can() -> None:
    assert tables.shares([20, 20], [20, 5], 30) == [20, 10]


def test_columns_lose_alike_when_nothing_fits() -> None:
    assert tables.shares([20, 20], [20, 20], 10) == [5, 5]


def test_for_other_programs_cells_are_whole_and_separated_by_tabs() -> None:
    lines = tables.tabbed(COLUMNS, [["a", "/out/a\tb\n.mp4" + "x" * 300]])
    assert lines == ["ID\tOUTPUT", "a\t/out/a b .mp4" + "x" * 300]


def test_a_column_that_yields_is_cut_before_the_others() -> None:
    columns = (Column(title="ID"), Column(title="TASK", least=5, yields=True))
    lines = tables.fitted(columns, [["a-long-job-id", "0123456789"]], 22)
    assert lines == ["ID             TASK", "a-long-job-id  012345…"]
