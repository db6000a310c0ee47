"""After a run in which everything goes wrong: the secrets are nowhere but in memory.

The real command runs in a process of its own, with ``--debug``; only its reply clocks are short.
The vendor quotes the key, the uid and signed links in its error messages. Then everything that
the program wrote or said is searched.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from batch_kit import Batch, tone

from orchestrator.emulator import signing
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import parse_faults
from orchestrator.emulator.kinds import KINDS
from orchestrator.emulator.server import Emulator

KEY = "sk-live-7c1fa0b2d3e4f5061728394a5b6c7d8e"
UID = "user-91f3c2a7d8"
LINK = "https://cdn.invalid/x.mp4?Expires=1&X-Amz-Signature=feedfacefeedface"
NASTY = f"key {KEY} of {UID} was seen at {LINK} by Bearer {KEY}"
WORDS = ("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "Signature=", "feedface")
"""Parts of every signed address."""
FILES, TEXTS = 22, 3

SHORT_CLOCKS = """
import sys
from functools import partial
from orchestrator import session
from orchestrator.media.download import Downloader
from orchestrator.topview.client import Timeouts, TopViewClient
clocks = Timeouts(submit_reply_s=1.0, reply_s=1.0, idle_s=1.0, put_reply_s=1.0)
session.TopViewClient = partial(TopViewClient, timeouts=clocks)
session.Downloader = partial(Downloader, idle_s=1.0)
from orchestrator.cli.main import main
sys.exit(main())
"""

MET = (
    *("credential", "put", "check", "submit", "query", "download", "credit", "credit_logs"),
    *("task", "webhook"),
)
"""The endpoints that a batch meets."""
MORE: dict[str, dict[str, Any]] = {
    "status": {"status": 500, "message": NASTY},
    "code": {"code": "5000", "message": NASTY},
    "fail": {"message": NASTY},
    "slow_bytes": {"interval_s": 0.5},
    "huge_body": {"size_bytes": 20_000_000},
}


def every_fault() -> list[dict[str, Any]]:
    """At each endpoint every kind once, with a good reply after each.

    A rule counts only what the rules before it let pass, so the Kth with ``nth: K`` fires at
    every second request in turn.
    """
    rules = []
    for endpoint in MET:
        kinds = [name for name, kind in KINDS.items() if endpoint in kind.on]
        turns = enumerate(kinds, start=3 if endpoint == "credit" else 1)
        rules += [{"on": endpoint, "do": k, "nth": n, **MORE.get(k, {})} for n, k in turns]
    return [
        {"on": "submit", "do": "code", "code": "4100", "message": NASTY, "match": {"text": "CR"}},
        {"on": "submit", "do": "code", "code": "401", "message": NASTY, "match": {"text": "AU"}},
        *rules,
    ]


@dataclass
class Scene:
    """What a run with every fault left behind. ``said``: outputs by command."""

    batch: Batch
    emulator: Emulator
    signatures: set[str]
    said: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    process_list: list[bytes] = field(default_factory=list)
    snapshots: list[Path] = field(default_factory=list)

    async def call(self, name: str, *arguments: str, short: bool = False) -> None:
        """Run a command and keep all that it says."""
        command = [sys.executable, "-c", SHORT_CLOCKS] if short else self.batch.command()
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            cwd=self.batch.folder,
            env=self.batch.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        watching = asyncio.create_task(self._watch(process.pid))
        out, err = await asyncio.wait_for(process.communicate(), 120)
        watching.cancel()
        self.said[name] = out + err
        assert process.returncode is not None
        self.codes[name] = process.returncode

    async def _watch(self, pid: int) -> None:
        """Now and then: the process list, and the state folder as it lies on the disk."""
        while True:
            await asyncio.sleep(0.7)
            self.process_list.append(Path(f"/proc/{pid}/cmdline").read_bytes())
            if self.batch.state.exists() and len(self.snapshots) < 20:
                copy = self.batch.folder / "snapshots" / str(len(self.snapshots))
                await asyncio.to_thread(_copy_files, self.batch.state, copy)
                self.snapshots.append(copy)

    def secrets(self) -> list[str]:
        return [KEY, UID, *WORDS, *sorted(self.signatures)]

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Every file but the manifests, the media and the vendor's own."""
        for path in sorted(self.batch.folder.rglob("*")):
            if path.is_file() and path.parent.name != "media" and path.suffix != ".yaml":
                yield str(path.relative_to(self.batch.folder)), path.read_bytes()


def _copy_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def leaks(
    places: dict[str, bytes] | Iterator[tuple[str, bytes]], secrets: Sequence[str]
) -> set[str]:
    """Where a secret was found, and its beginning."""
    found = dict(places).items()
    needles = [(secret, secret.encode()) for secret in secrets]
    return {f"{name}: {s[:12]}" for name, data in found for s, needle in needles if needle in data}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_batches(batch: Batch) -> None:
    """The batch that meets every fault, and two that end by a refusal."""
    port = free_port()
    limits = {
        "submit_rate": "100/s",
        "request_rate": "400/s",
        "in_flight": 8,
        "poll_interval": "20ms",
    }
    jobs: list[dict[str, Any]] = []
    for i in range(FILES):
        tone(batch.folder / "media" / f"{i}.wav", 0.3, 200 + 9 * i)
        audio = {"file": f"media/{i}.wav"}
        jobs.append({"id": f"f{i}", "avatar": {"public": "3327"}, "audio": audio})
    for i in range(TEXTS):
        jobs.append({"id": f"t{i}", "avatar": {"public": "9001"}, "audio": {"text": f"Word {i}."}})
    batch.write(
        jobs,
        limits=limits,
        doubt_horizon="2s",
        stop_after=50,
        webhook={"url": f"http://127.0.0.1:{port}/hook", "listen": f"127.0.0.1:{port}"},
    )
    for name in ("CREDIT", "AUTH"):
        job = {"id": "one", "avatar": {"public": "3327"}, "audio": {"text": f"{name}."}}
        document = {"version": 1, "batch": name.lower(), "limits": limits, "jobs": [job]}
        (batch.folder / f"{name.lower()}.yaml").write_text(yaml.safe_dump(document))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Everything has gone wrong, and every command has been asked about it."""
    root = tmp_path_factory.mktemp("secrets")
    batch = Batch(root / "batch")
    batch.folder.mkdir()
    write_batches(batch)
    patch, signatures = pytest.MonkeyPatch(), set[str]()
    sign = signing._sign

    def noted(secret: bytes, method: str, plain: str) -> str:
        signature = sign(secret, method, plain)
        signatures.add(signature)
        return signature

    patch.setattr(signing, "_sign", noted)
    config = EmulatorConfig(
        render="constant", render_mean_s=0.2, slots=8, uid=UID, api_key=KEY, balance=10_000
    )
    emulator = Emulator(config, data=root / "vendor", faults=parse_faults(every_fault()))
    async with emulator:
        batch.env = emulator.environment
        here = Scene(batch, emulator, signatures)
        await play(here)
        yield here
    patch.undo()


async def play(here: Scene) -> None:
    """The runs, then every command that shows something of them."""
    manifest = str(here.batch.manifest)
    await here.call("run", "run", manifest, "--debug", short=True)
    for name in ("credit", "auth"):
        await here.call(name, "run", str(here.batch.folder / f"{name}.yaml"), "--debug")
    await here.call("run again", "run", manifest, "--json", short=True)
    for command in ("status", "jobs", "credits"):
        await here.call(f"{command} --json", command, "--json", "--debug")
        await here.call(command, command)
    await here.call("plan --json", "plan", manifest, "--json", "--debug")
    for format in ("csv", "json"):
        await here.call(f"export {format}", "export", "trial", "--format", format)
    await here.call("report", "report", "trial", "--output", str(here.batch.folder / "r.html"))
    for job in ("trial/f0", "trial/t0", "credit/one", "auth/one"):
        await here.call(f"why {job}", "why", job, "--json", "--debug")


module = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.slow
@module
async def test_the_scene_is_what_it_is_meant_to_be(scene: Scene) -> None:
    """Most faults happened, and the commands had something to show."""
    assert {n: c for n, c in scene.codes.items() if c not in (0, 3, 4, 5, 8)} == {}
    assert (scene.codes["credit"], scene.codes["auth"]) == (5, 8), scene.said["credit"]
    fired = scene.emulator.audit().faults
    wanted = {f"{r['do']}@{r['on']}" for r in every_fault()}
    assert len(wanted & set(fired)) > 0.8 * len(wanted), sorted(wanted - set(fired))
    assert len(scene.signatures) > 40
    assert scene.process_list and scene.snapshots
    assert scene.emulator.audit().duplicate_tasks == 0


@pytest.mark.slow
@module
async def test_no_file_holds_a_secret(scene: Scene) -> None:
    names = {name for name, _ in scene.written()}
    assert {"state/state.db", "r.html"} <= names
    assert any(name.endswith("state.db-wal") for name in names), "a WAL was among the files"
    assert leaks(scene.written(), scene.secrets()) == set()


@pytest.mark.slow
@module
async def test_no_output_holds_a_secret(scene: Scene) -> None:
    assert leaks(scene.said, scene.secrets()) == set()
    assert b"***" in scene.said["run"], "the vendor's words are shown, without the secrets"


@pytest.mark.slow
@module
async def test_the_process_list_holds_no_secret(scene: Scene) -> None:
    shown = {str(n): cmdline for n, cmdline in enumerate(scene.process_list)}
    assert leaks(shown, scene.secrets()) == set()


@pytest.mark.slow
@module
async def test_webhook_tokens_stand_in_the_table_of_attempts_only(scene: Scene) -> None:
    tokens = [token for (token,) in scene.batch.rows("SELECT token FROM attempts")]
    assert len(tokens) >= FILES
    assert leaks(scene.said, tokens) == set()
    files = (item for item in scene.written() if "state.db" not in item[0])
    assert leaks(files, tokens) == set()
    assert leaks(dict(rows_of(scene.batch.state / "state.db", but="attempts")), tokens) == set()


def rows_of(path: Path, but: str) -> Iterator[tuple[str, bytes]]:
    """Every table's rows as text, but of one table."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name != but:
                rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
                yield name, repr(rows).encode()
    finally:
        connection.close()
