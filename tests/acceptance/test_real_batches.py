"""Batches as people have them: five hundred rows, a matrix of five hundred pairs, and edits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from batch_kit import AVATARS, VOICE, Batch, Vendor, states, tone, vendor

pytestmark = pytest.mark.slow

LIMITS = {
    "submit_rate": "300/s",
    "request_rate": "1000/s",
    "in_flight": 64,
    "downloads": 8,
    "poll_interval": "200ms",
}
Row = dict[str, str]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    folder = tmp_path / "batch"
    folder.mkdir()
    return Batch(folder)


@pytest.fixture
def there(tmp_path: Path, batch: Batch) -> Iterator[Vendor]:
    with vendor(tmp_path / "vendor", slots=64, render_mean_s=0.3) as emulator:
        batch.env = emulator.env
        yield emulator


def write(batch: Batch, **keys: Any) -> None:
    head = {"version": 1, "batch": "trial", "limits": LIMITS, "verify": "length"}
    batch.manifest.write_text(yaml.safe_dump({**head, **keys}, sort_keys=False))


def write_rows(batch: Batch, rows: list[Row]) -> None:
    """As a spreadsheet writes it: a byte order mark, titles of its own, CRLF."""
    with (batch.folder / "rows.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def row(number: int, text: str | None = None) -> Row:
    return {
        "ID": f"row-{number:03d}",
        "Avatar Public": AVATARS[number % len(AVATARS)],
        "Audio Text": text or f"No. {number}.",
        "audio.voice": VOICE,
    }


def planned(batch: Batch) -> dict[str, list[tuple[str, str]]]:
    """Jobs with their reasons by group, without those that are kept."""
    ended = batch.call("plan", str(batch.manifest), "--json")
    assert ended.returncode == 0, ended.stderr
    groups: dict[str, list[tuple[str, str]]] = {}
    for job in json.loads(ended.stdout)["jobs"]:
        groups.setdefault(job["what"], []).append((job["id"], job["reason"]))
    kept = groups.pop("keep", [])
    return {**groups, **({"kept": [(str(len(kept)), "")]} if kept else {})}


def ids(found: list[tuple[str, str]]) -> list[str]:
    return [job_id for job_id, _ in found]


def texts(there: Vendor) -> int:
    accepted: int = there.audit()["accepted"]
    return accepted


def test_five_hundred_rows_then_ten_edits_make_exactly_the_ten(batch: Batch, there: Vendor) -> None:
    rows = [row(n) for n in range(500)]
    write_rows(batch, rows)
    write(batch, **{"from": "rows.csv"})
    assert len(planned(batch)["new"]) == 500
    first = batch.run()
    assert first.returncode == 0, first.stderr
    assert states(batch.status()) == {"done": 500}
    assert texts(there) == 500

    for n in (3, 77, 200, 201, 499):
        rows[n] = row(n, f"Now {n}.")
    rows = [r for r in rows if r["ID"] not in ("row-010", "row-011", "row-300")]
    write_rows(batch, [*rows, row(900), row(901)])
    plan = planned(batch)
    changed = plan.pop("changed")
    assert ids(changed) == ["row-003", "row-077", "row-200", "row-201", "row-499"]
    assert {reason.partition(" (")[0] for _, reason in changed} == {"changed: audio.text"}
    assert plan == {
        "new": [("row-900", "not made yet"), ("row-901", "not made yet")],
        "orphan": [
            (name, "left the manifest; kept, never deleted")
            for name in ("row-010", "row-011", "row-300")
        ],
        "kept": [("492", "")],
    }
    before = set(batch.rows("SELECT task_id FROM attempts"))
    second = batch.run()
    assert second.returncode == 0, second.stderr
    assert texts(there) == 507
    made = batch.rows(
        "SELECT j.job_id, a.task_id FROM attempts a JOIN jobs j ON j.key = a.job ORDER BY j.job_id"
    )
    assert [job for job, task in made if (task,) not in before] == sorted(
        [*ids(changed), "row-900", "row-901"]
    )


def matrix(**more: Any) -> list[dict[str, Any]]:
    avatars = {f"face{n:02d}": {"public": AVATARS[n]} for n in range(20)}
    audios = {f"voice{n:02d}": {"file": f"media/v{n}.wav"} for n in range(25)}
    return [{"id": "{avatar}-{audio}", "avatars": avatars, "audios": audios, **more}]


def test_a_matrix_of_twenty_by_twenty_five_then_ten_edits_make_exactly_the_ten(
    batch: Batch, there: Vendor
) -> None:
    for n in range(25):
        tone(batch.folder / "media" / f"v{n}.wav", 0.3, 100 + 7 * n)
    write(batch, matrix=matrix())
    assert len(planned(batch)["new"]) == 500
    first = batch.run()
    assert first.returncode == 0, first.stderr
    audit = there.audit()
    assert (audit["accepted"], audit["credentials"]) == (500, 25)

    gone = [{"avatar": "face00", "audio": f"voice{n:02d}"} for n in range(3)]
    changed = [{"avatar": "face07", "audio": f"voice{n:02d}", "mode": "avatar2"} for n in range(5)]
    extra = [
        {"id": f"extra-{n}", "avatar": {"public": AVATARS[30]}, "audio": f"voice0{n}"}
        for n in range(2)
    ]
    write(batch, matrix=matrix(exclude=gone, include=[*changed, *extra]))
    plan = planned(batch)
    assert plan.pop("kept") == [("492", "")]
    assert {what: ids(found) for what, found in plan.items()} == {
        "changed": [f"face07-voice{n:02d}" for n in range(5)],
        "new": ["extra-0", "extra-1"],
        "orphan": [f"face00-voice{n:02d}" for n in range(3)],
    }
    assert {r for _, r in plan["changed"]} == {"changed: mode (avatar1 -> avatar2)"}
    second = batch.run()
    assert second.returncode == 0, second.stderr
    audit = there.audit()
    assert (audit["accepted"], audit["credentials"]) == (507, 25)
