"""Pictures and sounds behind the addresses that the catalogues show."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

from orchestrator.emulator import picture
from orchestrator.emulator.replies import Reply
from orchestrator.emulator.studio import Studio
from orchestrator.emulator.validate import fingerprint
from orchestrator.emulator.video import Recipe, sample_wav

_PREVIEW_S = 2.0


async def catalog_file(path: str, studio: Studio) -> Reply | None:
    """The file behind ``/catalog/KIND/ID.EXT``; None if there is no such kind."""
    where = PurePosixPath(path)
    label = where.stem
    match where.parent.name, where.suffix:
        case (("avatars" | "captions"), ".png"):
            body = await asyncio.to_thread(lambda: picture.png(picture.card(label)))
            return Reply(body=body, headers={"Content-Type": "image/png"})
        case "avatars", ".mp4":
            result = await studio.make(_preview(label))
            headers = {"Content-Type": "video/mp4"}
            return Reply(headers=headers, file=result.path, length=result.size)
        case "voices", ".wav":
            body = await asyncio.to_thread(sample_wav, label)
            return Reply(body=body, headers={"Content-Type": "audio/wav"})
        case _:
            return None


def _preview(label: str) -> Recipe:
    return Recipe(
        key=fingerprint({"preview": label}),
        face=None,
        label=label,
        sound=None,
        tone_s=_PREVIEW_S,
        title=f"avatar {label}",
        comment=f"preview of avatar {label}",
    )
