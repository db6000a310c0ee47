"""Makes result videos: in threads, once per content, kept on disk."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.emulator.video import Recipe, render


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A video on disk."""

    path: Path
    size: int
    md5: str


class Studio:
    """Renders recipes into ``folder`` with the threads of ``executor``."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder = folder
        self._executor = executor
        self._done: dict[str, Result] = {}
        self._making: dict[str, asyncio.Task[Result]] = {}

    def has(self, recipe: Recipe) -> bool:
        """Whether the recipe's video lies ready."""
        return recipe.key in self._done

    async def make(self, recipe: Recipe) -> Result:
        """The recipe's video; callers who want the same one share the work.

        Raises:
            Unusable: the inputs cannot be decoded.
        """
        if recipe.key in self._done:
            return self._done[recipe.key]
        # Cancelling one caller must not take the work from the others.
        return await asyncio.shield(self._start(recipe))

    async def within(self, recipe: Recipe, patience_s: float) -> Result | None:
        """The video, or None if it takes longer than ``patience_s``; the work goes on.

        Raises:
            Unusable: the inputs cannot be decoded.
        """
        if recipe.key in self._done:
            return self._done[recipe.key]
        task = self._start(recipe)
        await asyncio.wait({task}, timeout=patience_s)
        return task.result() if task.done() else None

    async def close(self) -> None:
        """Wait for work in progress."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def _start(self, recipe: Recipe) -> asyncio.Task[Result]:
        if recipe.key not in self._making:
            task = asyncio.create_task(self._render(recipe))
            task.add_done_callback(lambda done: self._finished(recipe.key, done))
            self._making[recipe.key] = task
        return self._making[recipe.key]

    async def _render(self, recipe: Recipe) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _rendered, recipe, self._folder)

    def _finished(self, key: str, task: asyncio.Task[Result]) -> None:
        self._making.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            self._done[key] = task.result()


def _rendered(recipe: Recipe, folder: Path) -> Result:
    path = folder / f"{recipe.key}.mp4"
    if not path.exists():
        render(recipe, path)
    data = path.read_bytes()
    return Result(path=path, size=len(data), md5=hashlib.md5(data).hexdigest())
