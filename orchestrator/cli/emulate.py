"""``orchestrator emulator``: the vendor on this machine, alone."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli import facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything

EXAMPLES = """\b
Examples:
  orchestrator emulator
  orchestrator emulator --port 8790 --time-scale 60
  orchestrator emulator --data /tmp/vendor --faults faults.yaml

It prints the environment to use. Type it in another shell, then 'orchestrator run'."""

DATA = Path("state/vendor")


@guarded
def emulator(
    port: options.Port = 0,
    data: options.Data = DATA,
    faults: options.Faults = None,
    time_scale: options.TimeScale = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Run the emulator of the vendor's API on this machine until Ctrl-C."""
    from orchestrator.app import Rehearsal

    log_everything(debug)
    options.positive(time_scale)
    scale = Rehearsal().time_scale if time_scale is None else time_scale

    def announce(environment: dict[str, str]) -> None:
        _announce(environment, data, as_json=as_json)

    facade.loop_of(_serve(port, data, faults, scale, announce))
    output.tell(["", "The emulator has ended; the same --data goes on where it was."])
    return 0


async def _serve(
    port: int, data: Path, faults: Path | None, scale: float, announce: facade.Announce
) -> None:
    """Serve until a signal; that is the way to end it and no error."""
    serving = asyncio.create_task(facade.run_emulator(port, data, faults, scale, announce))
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        serving.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await serving
    except asyncio.CancelledError:
        if not ended:
            raise


def document_of(environment: Mapping[str, str], data: Path) -> dict[str, Any]:
    """The document of ``emulator --json``."""
    return {"environment": dict(environment), "data": str(data)}


def _announce(environment: dict[str, str], data: Path, *, as_json: bool) -> None:
    if as_json:
        output.document(document_of(environment, data))
    else:
        output.out(f"export {name}={shlex.quote(v)}" for name, v in environment.items())
    output.tell(
        [
            "The emulator listens. Type the lines above in another shell, then use",
            "'orchestrator run MANIFEST' there as if this were the vendor.",
            f"Its tasks, files and ledger are in {data}. Ctrl-C ends it.",
        ]
    )
