"""Run the emulator alone: ``python -m orchestrator.emulator --data FOLDER``.

Prints one line of JSON with the environment for a client when it is ready, and runs until it is
told to stop (SIGINT or SIGTERM).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import Faults, load_faults, parse_faults
from orchestrator.emulator.server import Emulator, serve
from orchestrator.errors import UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, serve, return the exit code: 0 after a signal, 2 for wrong settings."""
    args = _arguments(argv)
    try:
        config = EmulatorConfig.from_mapping(json.loads(args.config))
        faults = _faults(args)
        asyncio.run(_until_told(config, args.data, faults))
    except json.JSONDecodeError as error:
        print(f"--config: is not JSON: {error}", file=sys.stderr)
        return 2
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.emulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for all that it keeps")
    parser.add_argument("--config", default="{}", help="settings as JSON, see docs/emulator.md")
    parser.add_argument("--faults", type=Path, help="fault file, YAML or JSON")
    parser.add_argument("--faults-json", help="faults as JSON, instead of a file")
    return parser.parse_args(argv)


def _faults(args: argparse.Namespace) -> Faults:
    if args.faults is not None:
        return load_faults(args.faults)
    return parse_faults(json.loads(args.faults_json)) if args.faults_json else Faults()


async def _until_told(config: EmulatorConfig, data: Path, faults: Faults) -> None:
    serving = asyncio.create_task(serve(config, data=data, faults=faults, announce=_announce))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    await _ended(serving)


async def _ended(serving: asyncio.Task[None]) -> None:
    try:
        await serving
    except asyncio.CancelledError:
        if not serving.cancelled():
            raise


def _announce(emulator: Emulator) -> None:
    print(json.dumps(emulator.environment), flush=True)


if __name__ == "__main__":
    sys.exit(main())
