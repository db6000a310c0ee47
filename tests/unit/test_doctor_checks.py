"""Each check of the doctor by itself: what is ok, what is a warning, what is a fault."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from orchestrator.config import Secret, VendorSettings
from orchestrator.doctor.findings import Check, Level, Report, fault, ok, warning
from orchestrator.doctor.machine import (
    has_wal_fault,
    libraries_check,
    python_check,
    sqlite_check,
)
from orchestrator.doctor.state import folder_check, network_checks, store_checks
from orchestrator.doctor.vendor import Asked, judged
from orchestrator.doctor.work import (
    leftover_checks,
    limit_checks,
    media_check,
    rights_checks,
    room_check,
)
from orchestrator.model import Answer, Failure, Limits, Manifest, Rate, Settings

NOON = 1_800_000_000.0
URL = "https://api.example.invalid"
SETTINGS = VendorSettings(base_url=URL, uid="uid-1", api_key=Secret("some-key"))

as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def levels(checks: tuple[Check, ...] | list[Check]) -> dict[str, str]:
    """The gravest level of each name."""
    order = list(Level)
    found: dict[str, Level] = {}
    for check in checks:
        found[check.name] = max(check.level, found.get(check.name, Level.OK), key=order.index)
    return {name: str(level) for name, level in found.items()}


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([ok("a", "")], 0),
        ([ok("a", ""), warning("credentials", "", "")], 0),
        ([fault("a", "", "")], 1),
        ([fault("a", "", ""), fault("credentials", "", "")], 8),
    ],
)
def test_the_exit_code_names_the_gravest_fault(checks: list[Check], code: int) -> None:
    assert Report(checks=tuple(checks)).exit_code == code


def test_a_report_counts_what_it_found() -> None:
    report = Report(checks=(ok("a", "fine"), warning("b", "odd", "look"), fault("c", "bad", "do")))
    assert json.loads(json.dumps(report.to_json())) == {
        "faults": 1,
        "warnings": 1,
        "checks": [
            {"name": "a", "level": "ok", "message": "fine", "remedy": ""},
            {"name": "b", "level": "warning", "message": "odd", "remedy": "look"},
            {"name": "c", "level": "fault", "message": "bad", "remedy": "do"},
        ],
    }


# --- the machine --------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "level"), [((3, 10, 9), "fault"), ((3, 11, 0), "ok")])
def test_python_has_to_be_new_enough(number: tuple[int, ...], level: str) -> None:
    assert python_check(number).level == level


def test_a_missing_library_is_named() -> None:
    check = libraries_check(lambda name: None if name == "av" else "1.0")
    assert (check.level, check.message) == (Level.FAULT, "not installed: PyAV")


@pytest.mark.parametrize(("uvloop", "words"), [("0.23", "uvloop 0.23"), (None, "asyncio")])
def test_the_event_loop_is_named(uvloop: str | None, words: str) -> None:
    check = libraries_check(lambda name: uvloop if name == "uvloop" else "1.0")
    assert check.level is Level.OK
    assert check.message.endswith(f"event loop: {words}")


@pytest.mark.parametrize(
    ("number", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 46, 1), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_the_wal_reset_fault_is_known_by_the_version(number: tuple[int, ...], faulty: bool) -> None:
    assert has_wal_fault(number) is faulty
    assert ("WAL-reset" in sqlite_check(number).message) is faulty


@pytest.mark.parametrize(("number", "level"), [((3, 36, 9), "fault"), ((3, 40, 1), "ok")])
def test_sqlite_has_to_be_new_enough(number: tuple[int, ...], level: str) -> None:
    assert sqlite_check(number).level == level


# --- the vendor ---------------------------------------------------------------------------------


def vendor(
    answer: Answer, *, took_s: float = 0.1, proxy: str | None = None, url: str = URL
) -> tuple[Check, ...]:
    settings = VendorSettings(base_url=url, uid="uid-1", api_key=Secret("some-key"))
    return judged(settings, Asked(answer=answer, took_s=took_s, wall=NOON), proxy).checks


def balance(credits: object, **more: float) -> Answer:
    return Answer(status=200, code="200", result={"remainCredit": credits}, **more)


def test_an_answer_in_time_is_well() -> None:
    checks = vendor(balance(42.5, server_time=NOON - 2))
    assert [(c.name, c.level) for c in checks] == [
        ("credentials", Level.OK),
        ("vendor", Level.OK),
        ("clock", Level.OK),
        ("balance", Level.OK),
    ]
    assert checks[-1].message == "42.5 credits"


@pytest.mark.parametrize(
    "answer", [Answer(status=401, code="401"), Answer(status=401), Answer(status=200, code="4002")]
)
def test_refused_credentials_are_a_fault_and_the_way_is_well(answer: Answer) -> None:
    assert levels(vendor(answer)) == {"credentials": "fault", "vendor": "ok"}


@pytest.mark.parametrize("failure", list(Failure))
def test_no_answer_is_a_fault_and_says_nothing_of_credentials(failure: Failure) -> None:
    checks = vendor(Answer(failure=failure, detail="no connection"))
    assert levels(checks) == {"credentials": "warning", "vendor": "fault"}
    assert "no connection" in checks[1].message


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Answer(status=429), "warning"),
        (Answer(status=200, code="5003"), "warning"),
        (Answer(status=404), "fault"),
        (Answer(status=502, detail="HTML instead of JSON"), "fault"),
        (Answer(status=200, detail="no JSON"), "fault"),
    ],
)
def test_an_odd_answer_is_told_from_a_busy_one(answer: Answer, level: str) -> None:
    assert levels(vendor(answer))["vendor"] == level


def test_a_slow_answer_is_a_warning() -> None:
    assert levels(vendor(balance(1.0), took_s=6.0))["vendor"] == "warning"


@pytest.mark.parametrize(
    ("theirs", "level", "words"),
    [
        (NOON - 60, "ok", "within 60 s"),
        (NOON - 61, "warning", "61 s ahead of"),
        (NOON + 3600, "warning", "3600 s behind"),
    ],
)
def test_the_clock_is_compared_with_the_vendors(theirs: float, level: str, words: str) -> None:
    checks = vendor(balance(1.0, server_time=theirs))
    clock = next(c for c in checks if c.name == "clock")
    assert clock.level == level
    assert words in clock.message


@pytest.mark.parametrize(
    ("credits", "level"), [(0, "warning"), (-1.5, "warning"), ("?", "warning")]
)
def test_a_balance_that_is_gone_or_not_told_is_a_warning(credits: object, level: str) -> None:
    assert levels(vendor(balance(credits)))["balance"] == level


def test_a_proxy_is_named_without_its_password() -> None:
    checks = vendor(balance(1.0), proxy="http://user:secret@proxy.example.invalid:3128")
    assert "(through the proxy proxy.example.invalid:3128)" in checks[1].message
    assert "secret" not in repr(checks)


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://api.example.invalid", True), (URL, False), ("http://127.0.0.1:8790", False)],
)
def test_a_key_in_the_clear_is_a_warning(url: str, warned: bool) -> None:
    assert ("encryption" in levels(vendor(balance(1.0), url=url))) is warned


# --- the state folder ---------------------------------------------------------------------------


def test_a_folder_that_is_not_there_yet_is_well(tmp_path: Path) -> None:
    assert folder_check(tmp_path / "a" / "state").level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    assert folder_check(tmp_path).level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert folder_check(tmp_path / "state").level is Level.FAULT
    assert folder_check(tmp_path / "state" / "deeper").level is Level.FAULT


@as_root
def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert folder_check(tmp_path).level is Level.FAULT
    assert folder_check(tmp_path / "state").level is Level.FAULT
    tmp_path.chmod(0o700)


def test_a_network_file_system_is_a_warning(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\nserver:/x /mnt/share\\040one nfs4 rw 0 0\n"
        "/dev/sdb1 /mnt/share\\040one/local ext4 rw 0 0\n"
    )
    (check,) = network_checks(Path("/mnt/share one/state"), mounts)
    assert check.level is Level.WARNING
    assert "nfs4" in check.message
    assert network_checks(Path("/mnt/share one/local/state"), mounts) == []
    assert network_checks(Path("/home"), mounts) == []
    assert network_checks(Path("/home"), tmp_path / "no such file") == []


def test_a_database_of_another_program_is_a_fault(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "state.db")
    conn.execute("CREATE TABLE theirs (x)")
    conn.close()
    (check, *_) = store_checks(tmp_path, "state store")
    assert check.level is Level.FAULT
    assert "another program" in check.message


def test_a_file_that_is_no_database_is_a_fault_that_says_to_keep_it(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    (check,) = store_checks(tmp_path, "state store")
    assert check.level is Level.FAULT
    assert "do not delete it" in check.remedy


# --- the work -----------------------------------------------------------------------------------


def manifest(limits: Limits, budget: float | None = None) -> Manifest:
    settings = Settings(limits=limits, budget_credits=budget)
    return Manifest(path=Path("/m/jobs.yaml"), batch="spring", settings=settings, jobs=())


def test_the_default_limits_are_well() -> None:
    assert limit_checks(manifest(Limits()), None) == [
        ok("limits", "submits 1/s, requests 5/s, auto tasks at once, 4 uploads, 4 downloads")
    ]


def test_more_tasks_at_once_than_any_plan_has_is_a_warning() -> None:
    rate = Rate(count=100, per_s=1.0)
    found = limit_checks(manifest(Limits(in_flight=31, request_rate=rate)), None)
    assert [c.level for c in found] == [Level.OK, Level.WARNING]


def test_a_request_rate_that_cannot_follow_the_tasks_is_a_warning() -> None:
    limits = Limits(in_flight=30, request_rate=Rate(count=60, per_s=60.0))
    found = limit_checks(manifest(limits), None)
    assert [c.level for c in found] == [Level.OK, Level.WARNING]
    assert "asking after 30 tasks takes 2 requests a second" in found[1].message


@pytest.mark.parametrize(("held", "level"), [(None, "ok"), (200.0, "ok"), (199.0, "warning")])
def test_a_budget_that_the_account_does_not_hold_is_a_warning(
    held: float | None, level: str
) -> None:
    found = levels(limit_checks(manifest(Limits(), budget=200.0), held))
    assert found.get("budget", "ok") == level


def test_missing_media_are_counted_and_named(tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"x")
    missing = [str(tmp_path / f"{n}.png") for n in range(5)]
    check = media_check(frozenset([str(there), *missing]), tmp_path / "jobs.yaml")
    assert check.level is Level.FAULT
    assert check.message.startswith("5 local files missing")
    assert check.message.endswith("and 2 more")
    assert media_check(frozenset([str(there)]), tmp_path / "jobs.yaml").level is Level.OK


def test_videos_that_do_not_fit_are_a_fault(tmp_path: Path) -> None:
    assert room_check(tmp_path, 0).level is not Level.FAULT
    check = room_check(tmp_path, 10**12)
    assert check.level is Level.FAULT
    assert "1,000,000,000,000 videos" in check.message


def test_folders_that_can_be_made_are_well(tmp_path: Path) -> None:
    (check,) = rights_checks({tmp_path / "a" / "b": 3, tmp_path / "c": 1})
    assert (check.level, check.message) == (Level.OK, "2 folders to write to")


def test_a_file_where_a_folder_is_wanted_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    (check,) = rights_checks({tmp_path / "out" / "spring": 3})
    assert check.level is Level.FAULT


def test_parts_of_videos_are_a_warning(tmp_path: Path) -> None:
    assert [c.level for c in leftover_checks({tmp_path: 1, tmp_path / "none": 1})] == [Level.OK]
    (tmp_path / ".a.mp4.00000000.part").write_bytes(b"x" * 2_000_000)
    (check,) = leftover_checks({tmp_path: 1})
    assert check.level is Level.WARNING
    assert check.message.startswith("1 .part file, 2.0 MB")
