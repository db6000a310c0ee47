"""``from``: CSV and JSONL files with one job a row. Rows are read, checked and let go one by one.

A row is as good as an item of ``jobs``: defaults hold for it, and its paths start in the folder
of the manifest. A complaint about a CSV file names the line in which the row begins and the
number of the cell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from orchestrator.manifest.candidates import Candidate
from orchestrator.manifest.csvtext import csv_candidates, header_keys
from orchestrator.manifest.findings import Page, shown
from orchestrator.manifest.jobs import Jobs
from orchestrator.manifest.jsonlines import json_candidates
from orchestrator.manifest.nodes import Node, Spoiled, Spot, Table, Text
from orchestrator.manifest.source import Unreadable, decode
from orchestrator.model import Complaint

Reader = Callable[[str, str, Page, list[Complaint]], Iterator[Candidate]]
"""From the text of a file, its name for complaints, and the manifest's page; adds complaints."""

HEAD_BYTES = 64 * 1024
"""So much of a file is enough to see its first row."""

READERS: dict[str, Reader] = {
    ".csv": csv_candidates,
    ".tsv": csv_candidates,
    ".jsonl": json_candidates,
    ".ndjson": json_candidates,
}


def first_keys(path: Path) -> frozenset[str]:
    """The keys of a job that the file at ``path`` has columns for; none if it is no such file.

    Only its beginning is read.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace")
    found: list[Complaint] = []
    reader = READERS.get(path.suffix.lower())
    if reader is json_candidates:
        page = Page(file=str(path), table=Table({}, (1, 1)), cut=True)
        first = next(reader(text, str(path), page, found), None)
        return frozenset(first.own) - {""} if first else frozenset()
    return frozenset(header_keys(text)) if reader else frozenset()


def row_files(names: Iterable[Node], page: Page, jobs: Jobs) -> None:
    """Give ``jobs`` every row of the files that ``names`` name."""
    seen: set[str] = set()
    for node in names:
        if isinstance(node, Spoiled):
            continue
        if not isinstance(node, Text) or not node.value:
            problem = "an item of from is not the name of a file"
            jobs.keep([page.complaint(node.spot, problem, 'write it like "from: [rows.csv]"')])
        elif (name := os.path.normpath(node.value)) in seen:
            problem = f"from names {shown(node.value)} twice"
            jobs.keep([page.complaint(node.spot, problem, "remove one of them")])
        else:
            seen.add(name)
            _one_file(node.value, node.spot, page, jobs)


def _one_file(name: str, spot: Spot, page: Page, jobs: Jobs) -> None:
    reader = READERS.get(PurePosixPath(name).suffix.lower())
    if reader is None:
        problem = f"from: {shown(name)} is neither a CSV nor a JSONL file"
        remedy = f"name a file that ends with {' or '.join(READERS)}"
        jobs.keep([page.complaint(spot, problem, remedy)])
        return
    file = os.path.join(os.path.dirname(page.file), name)  # noqa: PTH118, PTH120  (as written)
    findings: list[tuple[Spot, str, str]] = []
    try:
        path = Path(jobs.context.folder, name)
        text = decode(jobs.inputs.read(path, "file of rows"), findings)
    except Unreadable as error:
        problem = f"from: {shown(name)}: {error.problem}"
        jobs.keep([page.complaint(spot, problem, error.remedy)])
        return
    jobs.register.add_input(os.path.join(jobs.context.folder, name), spot)  # noqa: PTH118
    _take_rows(text, file, reader, page, jobs, findings)


def _take_rows(
    text: str,
    file: str,
    reader: Reader,
    page: Page,
    jobs: Jobs,
    findings: list[tuple[Spot, str, str]],
) -> None:
    found = [
        page.complaint((at[0], at[1], file), problem, remedy)
        for at, problem, remedy in findings
        if not problem.endswith("byte order mark")  # spreadsheets write one
    ]
    before = jobs.count
    for candidate in reader(text, file, page, found):
        jobs.take(candidate)
    if jobs.count == before and not found:
        remedy = "add a line for each job below the names of the columns"
        found.append(page.complaint((1, 1, file), "the file has no rows", remedy, warning=True))
    jobs.keep(found)
