"""What the emulator saw: the evidence that nothing was paid twice and no limit was broken."""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.emulator.shelf import Content, Upload
from orchestrator.emulator.store import Store, count, insert
from orchestrator.emulator.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The report, over the whole life of the data folder. All values are JSON-able.

    ``jobs``: task ids by the hash of what is paid for (see ``Order.content``); ``bodies``: number
    of tasks by the hash of the submit's body. ``submits``: all submit requests;
    ``refused``: by envelope code. ``without_effect``: submits that a fault kept from the
    application. ``lost_replies``: accepted submits whose reply was spoilt or lost.
    ``max_*_in_window``: the largest number of arrivals in any window of ``window_s`` seconds.
    ``uploads``: successful PUTs by SHA-256. ``header_leaks``: API headers seen on the object
    store or the CDN. ``queries_after_end``: queries of a task whose end had been told before.
    ``overlapping_queries``: queries of a task that was being asked about. ``puts_unchecked``:
    uploaded files that were never checked. ``used_unchecked``: files used by a submit before
    an upload check said true.
    """

    window_s: float
    requests: dict[str, int]
    submits: int
    accepted: int
    refused: dict[str, int]
    without_effect: int
    lost_replies: int
    jobs: dict[str, list[str]]
    bodies: dict[str, int]
    max_submits_in_window: int
    max_accepted_in_window: int
    max_requests_in_window: int
    unfinished_peak: int
    credentials: int
    uploads: dict[str, int]
    puts_unchecked: int
    used_unchecked: int
    header_leaks: list[dict[str, str]]
    queries_after_end: int
    overlapping_queries: int
    downloads: int
    bytes_received: int
    bytes_served: int
    credits_charged: float
    faults: dict[str, int]
    webhooks: dict[str, int]
    starts: int

    @property
    def duplicate_tasks(self) -> int:
        """Tasks beyond the first of every job, where jobs of a batch differ in content."""
        return sum(len(tasks) - 1 for tasks in self.jobs.values())

    @property
    def repeated_uploads(self) -> int:
        """PUTs beyond the first of every content."""
        return sum(puts - 1 for puts in self.uploads.values())

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values, with the derived figures."""
        derived = {
            "duplicate_tasks": self.duplicate_tasks,
            "repeated_uploads": self.repeated_uploads,
        }
        return asdict(self) | derived

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Audit:
        """The report back from ``to_json``."""
        derived = {"duplicate_tasks", "repeated_uploads"}
        return cls(**{k: v for k, v in data.items() if k not in derived})


@dataclass(slots=True)
class Witness:
    """Keeps count. Everything is noted in the store as it happens."""

    store: Store
    calls: array[float] = field(default_factory=lambda: array("d"))
    submits: array[float] = field(default_factory=lambda: array("d"))
    accepted: array[float] = field(default_factory=lambda: array("d"))
    requests: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    leaks: list[dict[str, str]] = field(default_factory=list)

    def load(self, rows: Mapping[str, list[sqlite3.Row]]) -> None:
        """Put back what was on disk."""
        for row in rows["calls"]:
            self._remember(row["at"], row["endpoint"], row["code"])
        for row in rows["counters"]:
            self.counters[row["name"]] = row["value"]
        for row in rows["leaks"]:
            self.leaks.append({k: row[k] for k in ("listener", "method", "path", "header")})

    def call(self, at: float, endpoint: str, code: str) -> None:
        """A request of the API that arrived at ``at``; ``code`` is what came of it, "-" where a
        fault kept it from the application."""
        self._remember(at, endpoint, code)
        sql = "INSERT INTO calls (at, endpoint, code) VALUES (?, ?, ?)"
        self.store.note((sql, (at, endpoint, code)))

    def add(self, name: str, by: int = 1) -> None:
        """Count something."""
        self.counters[name] += by
        self.store.note(count(name, by))

    def leak(self, at: float, listener: str, method: str, path: str, header: str) -> None:
        """An API header came where it has no business; its value is not kept."""
        seen = {"listener": listener, "method": method, "path": path, "header": header}
        self.leaks.append(seen)
        self.store.note(insert("leaks", at=at, **seen))

    def _remember(self, at: float, endpoint: str, code: str) -> None:
        self.requests[endpoint] += 1
        self.calls.append(at)
        if endpoint != "submit":
            return
        self.submits.append(at)
        if code == "200":
            self.accepted.append(at)
        else:
            self.refused[code] += 1

    def copy(self) -> Witness:
        """A copy that another thread may read while this one goes on."""
        return Witness(
            store=self.store,
            calls=self.calls[:],
            submits=self.submits[:],
            accepted=self.accepted[:],
            requests=self.requests.copy(),
            refused=self.refused.copy(),
            counters=self.counters.copy(),
            leaks=self.leaks[:],
        )

    def report(
        self,
        *,
        window_s: float,
        tasks: Iterable[Task],
        uploads: Collection[Upload],
        contents: Iterable[Content],
        peak: int,
        charged: float,
    ) -> Audit:
        """Draw up the report. Takes a while after very many requests."""
        jobs: dict[str, list[str]] = defaultdict(list)
        bodies: Counter[str] = Counter()
        for task in tasks:
            jobs[task.job].append(task.task_id)
            bodies[task.identity] += 1
        counters = self.counters
        refused = {c: n for c, n in self.refused.items() if c != "-"}
        return Audit(
            window_s=window_s,
            requests=dict(self.requests),
            submits=len(self.submits),
            accepted=len(self.accepted),
            refused=refused,
            without_effect=self.refused["-"],
            lost_replies=counters["lost_replies"],
            jobs=dict(jobs),
            bodies=dict(bodies),
            max_submits_in_window=busiest(self.submits, window_s),
            max_accepted_in_window=busiest(self.accepted, window_s),
            max_requests_in_window=busiest(self.calls, window_s),
            unfinished_peak=peak,
            credentials=len(uploads),
            uploads={c.sha256: c.puts for c in contents},
            puts_unchecked=sum(1 for u in uploads if u.puts and not u.checked),
            used_unchecked=sum(1 for u in uploads if u.unchecked_use),
            header_leaks=list(self.leaks),
            queries_after_end=counters["queries_after_end"],
            overlapping_queries=counters["overlapping_queries"],
            downloads=counters["downloads"],
            bytes_received=counters["bytes_received"],
            bytes_served=counters["bytes_served"],
            credits_charged=charged,
            faults=_under(counters, "fault:"),
            webhooks=_under(counters, "webhook:"),
            starts=counters["starts"],
        )


def busiest(times: Iterable[float], window_s: float) -> int:
    """The largest number of times in any half-open window of ``window_s`` seconds (> 0)."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _under(counters: Counter[str], prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): v for k, v in counters.items() if k.startswith(prefix)}
