"""The work that a manifest describes against this machine: room, rights, limits, leftovers."""

from __future__ import annotations

import os
import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.doctor.findings import Check, fault, ok, warning
from orchestrator.manifest.read import check_manifest
from orchestrator.media.places import existing, obstacle
from orchestrator.model import JobSpec, Manifest, Rate, Settings

VIDEO_BYTES = 5_000_000
"""A guess: half a minute of the vendor's videos."""
LITTLE_ROOM_BYTES = 1_000_000_000
NO_ROOM_BYTES = 50_000_000
LARGEST_PLAN = 30
"""Tasks at once in the vendor's largest plan (docs/vendor.md)."""
SLOWEST_POLL_S = 15.0
MOST_NAMED = 3


def work_checks(path: Path, balance: float | None) -> list[Check]:
    """Everything about one manifest; ``balance`` in credits, None if it is not known. Blocking."""
    manifest, complaints = check_manifest(Path(os.path.abspath(path)))  # noqa: PTH100 - keeps symlinks
    errors = sum(not c.warning for c in complaints)
    if manifest is None:
        remedy = f"see them all with: orchestrator validate {shlex.quote(str(path))}"
        return [fault("manifest", f"{path} has {_count(errors, 'complaint')}", remedy)]
    outputs, media = _surveyed(manifest.jobs)
    message = f"batch {manifest.batch}, {_count(len(manifest.jobs), 'job')}"
    return [
        ok("manifest", message),
        media_check(media, path),
        *limit_checks(manifest, balance),
        *room_checks(outputs),
        *rights_checks(outputs),
        *leftover_checks(outputs),
    ]


def _surveyed(jobs: Iterable[JobSpec]) -> tuple[Mapping[Path, int], frozenset[str]]:
    """How many videos are still to come into each output folder, and the local files needed."""
    outputs: Counter[Path] = Counter()
    media: set[str] = set()
    for job in jobs:
        outputs[job.output.parent] += 0 if job.output.exists() else 1
        media.update(job.files)
    return outputs, frozenset(media)


def media_check(paths: frozenset[str], manifest: Path) -> Check:
    """Whether every local file is there and can be read; not whether it is what it should be."""
    missing = sorted(p for p in paths if not (os.path.isfile(p) and os.access(p, os.R_OK)))  # noqa: PTH113 - plain text paths
    if not missing:
        return ok("media", f"{_count(len(paths), 'local file')}, all readable")
    named = ", ".join(missing[:MOST_NAMED])
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return fault(
        "media",
        f"{_count(len(missing), 'local file')} missing or not readable: {named}{more}",
        f"see where they are named with: orchestrator validate {shlex.quote(str(manifest))}",
    )


def limit_checks(manifest: Manifest, balance: float | None) -> list[Check]:
    """The limits of the manifest, and those that cannot work together."""
    limits = manifest.settings.limits
    shown = ok(
        "limits",
        f"submits {_rate(limits.submit_rate)}, requests {_rate(limits.request_rate)}, "
        f"{'auto' if limits.in_flight is None else limits.in_flight} tasks at once, "
        f"{limits.uploads} uploads, {limits.downloads} downloads",
    )
    found = [shown]
    at_once = limits.in_flight
    if at_once is not None and at_once > LARGEST_PLAN:
        found.append(
            warning(
                "limits",
                f"in_flight is {at_once}; the vendor's largest plan renders {LARGEST_PLAN} at once",
                "set limits.in_flight to what your plan allows",
            )
        )
    polls = 0.0 if at_once is None else at_once / (SLOWEST_POLL_S * limits.scale)
    if polls > (most := 1 / limits.request_rate.interval_s):
        found.append(
            warning(
                "limits",
                f"asking after {at_once} tasks takes {polls:.0f} requests a second, request_rate "
                f"allows {most:.3g}: finished videos will be noticed late",
                "raise limits.request_rate, or lower limits.in_flight",
            )
        )
    return [*found, *_budget(manifest.settings, balance)]


def _budget(settings: Settings, balance: float | None) -> list[Check]:
    budget = settings.budget_credits
    if budget is None or balance is None or balance >= budget:
        return []
    return [
        warning(
            "budget",
            f"the budget is {budget:g} credits, the account holds {balance:g}",
            "buy credits, or expect the run to stop for want of them",
        )
    ]


def room_checks(outputs: Mapping[Path, int]) -> list[Check]:
    """Whether the videos to come fit on their disks, one check a disk."""
    videos: Counter[int] = Counter()
    places: dict[int, Path] = {}
    for folder, count in outputs.items():
        place = existing(folder)
        device = place.stat().st_dev
        videos[device] += count
        places.setdefault(device, place)
    return [room_check(places[device], count) for device, count in videos.items()]


def room_check(place: Path, videos: int = 0) -> Check:
    """Whether ``videos`` more of them fit on the disk of ``place``, which exists."""
    free = shutil.disk_usage(place).free
    need = videos * VIDEO_BYTES
    message = f"{_gb(free)} free at {place}"
    if videos:
        message += f", about {_gb(need)} wanted for {_count(videos, 'video')}"
    if free < max(need, NO_ROOM_BYTES):
        return fault("disk", message, "make room, or write the videos to another disk")
    if free < max(2 * need, LITTLE_ROOM_BYTES):
        return warning("disk", message, "make room: that is close")
    return ok("disk", message)


def rights_checks(outputs: Mapping[Path, int]) -> list[Check]:
    """Folders of outputs that cannot be written, or made."""
    wrong = sorted({why for folder in outputs if (why := obstacle(folder))})
    if not wrong:
        return [ok("outputs", f"{_count(len(outputs), 'folder')} to write to")]
    named = ", ".join(wrong[:MOST_NAMED])
    return [fault("outputs", named, "mend that, or change the key output")]


def leftover_checks(outputs: Mapping[Path, int]) -> list[Check]:
    """Parts of videos in the output folders."""
    parts = [part for folder in outputs for part in folder.glob(".*.part")]
    if not parts:
        return [ok("leftovers", "no .part files")]
    size = sum(part.stat().st_size for part in parts if part.exists())
    return [
        warning(
            "leftovers",
            f"{_count(len(parts), '.part file')}, {_gb(size)}, such as {parts[0]}",
            "a run that is going on, or the next one, completes them; delete those that are left "
            "when the batch is done",
        )
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"


def _rate(rate: Rate) -> str:
    units = {1.0: "s", 60.0: "min", 3600.0: "h"}
    return f"{rate.count}/{units.get(rate.per_s, f'{rate.per_s:g} s')}"
