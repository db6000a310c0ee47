"""One account at the vendor: its slots, its open tasks, its ledger, its own avatars."""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from datetime import datetime
from time import gmtime, strftime
from typing import Any

from orchestrator.emulator.catalog import SAMPLE_PRIVATE, Avatar
from orchestrator.emulator.tasks import Slots, Timeline
from orchestrator.emulator.validate import Refusal

TASK_TYPE = "video_avatar"
_TIME = "%Y-%m-%d %H:%M:%S"
_TIME_SHAPE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. A negative cost is a refund."""

    at: float
    cost: float
    task_id: str
    task_type: str = TASK_TYPE


class Account:
    """What belongs to one uid."""

    def __init__(self, uid: str, slots: int) -> None:
        self.uid = uid
        self.key = ""
        self.slots = Slots(slots)
        self.open = Timeline()
        self.spent = 0.0
        self.reserved = 0.0
        self.entries: list[Entry] = []
        self.avatars: dict[str, Avatar] = {SAMPLE_PRIVATE.avatar_id: SAMPLE_PRIVATE}
        self.faces: dict[str, str] = {}

    def book(self, entry: Entry) -> None:
        """Write an entry into the ledger."""
        self.entries.append(entry)
        self.spent += entry.cost

    def add_avatar(self, avatar: Avatar, face: str) -> None:
        """A private avatar whose face is the content with this hash."""
        self.avatars[avatar.avatar_id] = avatar
        self.faces[avatar.avatar_id] = face

    def log(self, task_type: str | None, start: float | None, end: float | None) -> list[Entry]:
        """Ledger entries, newest first; both ends belong to the range, in whole seconds."""
        return [
            e
            for e in reversed(self.entries)
            if (task_type is None or e.task_type == task_type)
            and (start is None or int(e.at) >= start)
            and (end is None or int(e.at) <= end)
        ]

    def show(self, entry: Entry) -> dict[str, Any]:
        """The entry as the log shows it: with the API key, like the real one."""
        return {
            "uid": self.uid,
            "apiKey": self.key,
            "date": strftime(_TIME, gmtime(entry.at)),
            "costCredit": entry.cost,
            "taskId": entry.task_id,
            "taskType": entry.task_type,
        }


def parse_time(key: str, text: str | None) -> float | None:
    """Unix seconds of ``yyyy-MM-dd HH:mm:ss`` in UTC; None for an absent value.

    Raises:
        Refusal: 4000 for any other form.
    """
    if not text:
        return None
    try:
        if not _TIME_SHAPE.fullmatch(text):
            raise ValueError(text)
        return float(timegm(datetime.strptime(text, _TIME).timetuple()))
    except ValueError as error:
        raise Refusal("4000", f"{key} must be written yyyy-MM-dd HH:mm:ss") from error
