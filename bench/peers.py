"""The orchestrator beside what one would write instead: the same batch, the same vendor.

    python -m bench.peers [--jobs 120] [--mean-s 4]

*gather*: a hand-written ``asyncio.gather`` with a semaphore and a fixed poll of each task.
*durable*: DBOS on SQLite, a general engine whose workflows outlive the process: upload, submit,
wait, download are its four steps. All have eight slots that refuse a ninth task, renders scaled
down from 160 s on average, and the poll of 5 s scaled alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.common import (
    Row,
    busy_share,
    child,
    cpu_s,
    emulator,
    free_port,
    report,
    say,
    scratch,
    spoken_jobs,
    write_manifest,
)
from bench.floor import Floor

REAL_MEAN_S, REAL_POLL_S = 160.0, 5.0
SLOTS = 8


async def gather(folder: Path, outputs: Path, poll_s: float) -> None:
    """As many jobs at once as there are slots; each asks about its own task."""
    free = asyncio.Semaphore(SLOTS)
    async with aiohttp.ClientSession() as session:
        floor = Floor(session, dict(os.environ), poll_s)

        async def one(source: Path) -> None:
            async with free:
                await floor.job(source, outputs / f"{source.stem}.mp4")

        await asyncio.gather(*(one(source) for source in sorted(folder.glob("*.wav"))))


async def durable(folder: Path, outputs: Path, poll_s: float) -> None:
    """Every job a workflow in a queue of as many workers as there are slots."""
    from dbos import DBOS

    database = f"sqlite:///{folder / 'durable.sqlite'}"
    DBOS(config={"name": "bench", "system_database_url": database, "log_level": "ERROR"})
    make = _workflow(poll_s)
    DBOS.launch()
    # Its queue is asked for work every second by default; that is scaled like all else.
    await DBOS.register_queue_async(
        "jobs", worker_concurrency=SLOTS, polling_interval_sec=poll_s / REAL_POLL_S
    )
    handles = [
        await DBOS.enqueue_workflow_async(
            "jobs", make, str(path), str(outputs / f"{path.stem}.mp4")
        )
        for path in sorted(folder.glob("*.wav"))
    ]
    for handle in handles:
        await handle.get_result(polling_interval_sec=poll_s)
    DBOS.destroy()


def _workflow(poll_s: float) -> Any:
    """One job as a workflow of four steps, each of which is remembered when it has ended."""
    from dbos import DBOS

    floors: list[Floor] = []

    def floor() -> Floor:
        # Made by the first step, on the loop on which all steps run.
        if not floors:
            floors.append(Floor(aiohttp.ClientSession(), dict(os.environ), poll_s))
        return floors[0]

    @DBOS.step()
    async def upload(source: str) -> str:
        return await floor().upload(Path(source))

    @DBOS.step()
    async def submit(file_id: str) -> str:
        return await floor().submit(file_id)

    @DBOS.step()
    async def wait(task_id: str) -> str:
        return await floor().wait(task_id)

    @DBOS.step()
    async def download(link: str, output: str) -> None:
        await floor().download(link, Path(output))

    @DBOS.workflow()
    async def make(source: str, output: str) -> None:
        task_id = await submit(await upload(source))
        await download(await wait(task_id), output)

    return make


async def ours(folder: Path, outputs: Path, poll_s: float) -> None:
    """The orchestrator itself."""
    from orchestrator import Orchestrator, RunOptions

    result = await Orchestrator(env=dict(os.environ)).run(folder / "jobs.yaml", RunOptions())
    assert result.exit_code == 0, result.headline


WAYS: dict[str, Callable[[Path, Path, float], Any]] = {
    "orchestrator": ours,
    "gather": gather,
    "durable": durable,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one way came to."""

    slot_use: float
    polls: float
    cpu_ms: float
    seconds: float


def play(way: str, folder: Path, jobs: int, mean_s: float, port: int) -> Figures:
    """Run the batch in a child process and look at what the vendor saw."""
    scale = REAL_MEAN_S / mean_s
    shutil.rmtree(folder / "vendor", ignore_errors=True)
    # The vendor of `bench.slots`, and the same address each time: it is part of the account's name.
    config: dict[str, Any] = {"render": "lognormal", "render_sigma": 0.3, "port": port, "seed": 7}
    config |= {"render_mean_s": REAL_MEAN_S, "render_min_s": 0.0, "render_max_s": 1e6}
    config |= {"time_scale": scale, "slots": SLOTS, "over_slots": "refuse"}
    with emulator(folder / "vendor", **config) as vendor:
        command = ("--child", way, "--folder", str(folder), "--poll-s", str(REAL_POLL_S / scale))
        found = child("bench.peers", *command, env=vendor.env)
        polls = vendor.audit()["requests"].get("query", 0)
    figures = Figures(
        slot_use=busy_share(folder / "vendor", SLOTS),
        polls=polls / jobs,
        cpu_ms=1000 * found["cpu_s"] / jobs,
        seconds=found["seconds"],
    )
    say(f"{way}: {figures}")
    return figures


def measure(jobs: int, mean_s: float) -> list[Row]:
    """Two lanes side by side, for all of them mostly wait: the orchestrator twice, because it
    learns from a batch, and the others one after the other."""
    lanes = (("orchestrator", "orchestrator"), ("gather", "durable"))
    with ThreadPoolExecutor(len(lanes)) as pool:
        found = list(pool.map(lambda ways: _lane(ways, jobs, mean_s), lanes))
    return _rows({way: figures for lane in found for way, figures in lane.items()}, jobs, mean_s)


def _lane(ways: Sequence[str], jobs: int, mean_s: float) -> dict[str, Figures]:
    """Each way after the other, each with files of its own; the last figures of each."""
    scale = REAL_MEAN_S / mean_s
    rate, interval_ms = f"{round(scale)}/s", round(1000 * REAL_POLL_S / scale)
    limits = {"submit_rate": rate, "request_rate": rate}
    limits |= {"in_flight": "auto", "poll_interval": f"{interval_ms}ms"}
    found: dict[str, Figures] = {}
    port = free_port()
    with scratch() as folder:
        for turn, way in enumerate(ways):
            for old in folder.glob("*.wav"):
                old.unlink()
            entries = spoken_jobs(folder, jobs, first=turn * jobs)
            time.sleep(2.1)
            write_manifest(
                folder, entries, limits, batch=f"batch-{turn}", output="out/{batch}/{id}.mp4"
            )
            found[way] = play(way, folder, jobs, mean_s, port)
    return found


def _rows(found: dict[str, Figures], jobs: int, mean_s: float) -> list[Row]:
    how = f"{jobs} jobs, {SLOTS} slots, renders of {mean_s:g} s on average, after one batch"
    names = {
        "gather": "gather, semaphore, fixed poll",
        "durable": "DBOS on SQLite, the same four steps",
    }
    mine = found["orchestrator"]
    rows = []
    for way, name in names.items():
        peer = found[way]
        measured = (
            f"slot use {mine.slot_use:.3f} / {peer.slot_use:.3f}, "
            f"polls per job {mine.polls:.1f} / {peer.polls:.1f}, "
            f"CPU per job {mine.cpu_ms:.0f} / {peer.cpu_ms:.0f} ms, "
            f"{mine.seconds:.0f} / {peer.seconds:.0f} s"
        )
        target, met = "-", None
        if way == "gather":
            target = "half the polls, slot use no worse"
            met = mine.polls <= peer.polls / 2 and mine.slot_use >= peer.slot_use
        what = f"the orchestrator / {name}"
        rows.append(Row(what=what, target=target, measured=measured, how=how, met=met))
    return rows


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=120)
    parser.add_argument("--mean-s", type=float, default=4.0)
    parser.add_argument("--child", choices=tuple(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--poll-s", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.child:
        report(measure(args.jobs, args.mean_s))
        return
    outputs = args.folder / "peers" / args.child
    outputs.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    asyncio.run(WAYS[args.child](args.folder, outputs, args.poll_s))
    print(json.dumps({"cpu_s": cpu_s(), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
