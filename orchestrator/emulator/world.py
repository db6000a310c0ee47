"""Everything the vendor knows, in memory and on disk, and what its calls do to it.

Methods are synchronous and quick; they hand their writes to the store, and the caller waits
for the store before it answers.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from orchestrator.emulator import catalog, signing
from orchestrator.emulator.accounts import Account, Entry
from orchestrator.emulator.config import EmulatorConfig
from orchestrator.emulator.faults import Fault
from orchestrator.emulator.shelf import Content, Shelf, Upload
from orchestrator.emulator.store import Statement, Store, insert, update
from orchestrator.emulator.tasks import (
    Task,
    cost_credits,
    render_time_s,
    speech_s,
    status_at,
)
from orchestrator.emulator.validate import AVATAR_FIELDS, Order, Refusal, fingerprint
from orchestrator.emulator.video import Recipe

INIT_S = 2.0
_AVATAR2_LONGEST_S = {"1": 28.0, "2": 120.0}
COMMENT_LENGTH = 200


class World:
    """The vendor's state. ``ended`` collects tasks whose end was just booked; ``wake`` is set
    whenever the timetable has changed."""

    def __init__(self, config: EmulatorConfig, store: Store, folder: Path) -> None:
        self.config = config
        self.store = store
        self.shelf = Shelf(folder / "objects")
        self.tasks: dict[str, Task] = {}
        self.accounts: dict[str, Account] = {}
        self.ended: deque[Task] = deque()
        self.wake = asyncio.Event()
        self.secret = b""
        self.unfinished_peak = 0

    def load(self, rows: Mapping[str, list[sqlite3.Row]]) -> None:
        """Put back what was on disk."""
        meta = {r["key"]: r["value"] for r in rows["meta"]}
        self.secret = bytes.fromhex(meta.get("secret") or self._new_secret())
        self.unfinished_peak = int(meta.get("unfinished_peak", "0"))
        self.shelf.load(rows["files"], rows["contents"])
        for row in rows["ledger"]:
            entry = Entry(
                at=row["at"], cost=row["cost"], task_id=row["task_id"], task_type=row["task_type"]
            )
            self.account(row["uid"]).book(entry)
        for row in rows["avatars"]:
            self._restore_avatar(row)
        for row in rows["tasks"]:
            self._restore_task(row)

    def account(self, uid: str) -> Account:
        """The account of this uid; it opens when first asked for."""
        if uid not in self.accounts:
            self.accounts[uid] = Account(uid, self.config.slots)
        return self.accounts[uid]

    def new_upload(self, uid: str, format: str, now: float) -> Upload:
        """Give out a file id with a signed address."""
        file_id = secrets.token_hex(16)
        ends = now + self.config.link_life_s(self.config.upload_link_s)
        target = signing.upload_target(self.secret, file_id, format, now, ends)
        upload = Upload(
            file_id=file_id,
            uid=uid,
            format=format,
            created_at=now,
            target=target,
            expires_at=ends,
        )
        self.store.note(self.shelf.add(upload))
        return upload

    def put(self, upload: Upload, content: Content) -> None:
        """Content has arrived."""
        self.store.note(*self.shelf.put(upload, content))

    def check(self, uid: str, file_id: str) -> bool:
        """Whether something was put under the id."""
        upload = self.shelf.uploads.get(file_id)
        if upload is None or upload.uid != uid or upload.sha256 is None:
            return False
        self.store.note(*self.shelf.check(upload))
        return True

    def submit(self, uid: str, order: Order, now: float, fault: Fault | None) -> Task:
        """Take an order in; ``fault`` spoils the task.

        Raises:
            Refusal: 4100 without enough credit, 4007 where all slots are taken and no queue is
                kept.
        """
        self.settle(now)
        account = self.account(uid)
        cost = self.cost(order)
        if self.config.balance - account.spent - account.reserved < cost:
            raise Refusal("4100", "the account has not enough credit")
        if self.config.over_slots == "refuse" and len(account.open) >= self.config.slots:
            raise Refusal("4007", "an unfinished task exists")
        task = self._new_task(account, order, now, cost, fault)
        self._accept(account, task)
        return task

    def settle(self, now: float) -> None:
        """Book the end of every task that has ended: charge or refund, save its avatar."""
        for account in self.accounts.values():
            for task in account.open.pop_due(now):
                self.store.note(*self._end(account, task))
                self.ended.append(task)
                self.wake.set()

    def next_end(self) -> float | None:
        """When the next task ends; None if none is open."""
        ends = [e for a in self.accounts.values() if (e := a.open.next_end()) is not None]
        return min(ends, default=None)

    def status(self, task: Task, now: float) -> str:
        """The task's status word at this time."""
        return status_at(task, now, self.config.scaled(INIT_S))

    def fail_late(self, task: Task, error: str) -> None:
        """Rendering turned out to be impossible before success was told: fail, give back."""
        if task.failed:
            return
        task.failed, task.error = True, error
        account = self.accounts[task.uid]
        notes: list[Statement] = [
            update("tasks", "number", task.number, failed=1, error=error),
        ]
        if task.settled:
            notes.append(self._book(account, task, -task.cost, task.end_at))
        self.store.note(*notes)

    def recipe(self, task: Task) -> Recipe:
        """How the task's video is made; equal inputs give the same video."""
        body = task.body
        source = str(body["avatarSourceFrom"])
        avatar = str(body[AVATAR_FIELDS[source]])
        content = task.content
        face = content.get("videoHash") or content.get("imageHash")
        if source == "2":
            face = self.accounts[task.uid].faces.get(avatar)
        voice = content.get("audioHash")
        speed = float(body.get("voiceSpeed", 1.0))
        inputs = {"face": face, "avatar": None if face else avatar}
        inputs |= {"voice": voice, "text": task.text, "speed": speed}
        return Recipe(
            key=fingerprint(inputs),
            face=self.shelf.path(face) if face else None,
            label=avatar,
            sound=self.shelf.path(voice) if voice else None,
            tone_s=speech_s(task.text, speed),
            title=f"content {face}" if face else f"avatar {avatar}",
            comment=str(voice or task.text[:COMMENT_LENGTH]),
        )

    def content_hashes(self, order: Order) -> dict[str, str]:
        """SHA-256 of the order's files by file id."""
        ids = [order.avatar] if order.avatar_source in "03" else []
        ids += [order.audio] if order.audio_source == "0" else []
        found = ((i, self.shelf.content_of(i)) for i in ids)
        return {i: c.sha256 for i, c in found if c is not None}

    def cost(self, order: Order) -> float:
        """Credits for the order."""
        if order.audio_source == "1":
            return cost_credits(order.mode, text=order.audio, audio_s=None)
        content = self.shelf.content_of(order.audio)
        seconds = content.facts.duration_s if content else None
        return cost_credits(order.mode, text=None, audio_s=seconds)

    def _new_secret(self) -> str:
        secret = secrets.token_hex(32)
        self.store.note(insert("meta", key="secret", value=secret))
        return secret

    def _new_task(
        self, account: Account, order: Order, now: float, cost: float, fault: Fault | None
    ) -> Task:
        number = len(self.tasks) + 1
        duration = render_time_s(self.config, number)
        if fault is not None and fault.do == "slow":
            duration *= fault.factor
        start, end = account.slots.place(now, duration)
        told_to_fail = fault is not None and fault.do == "fail"
        error = fault.message if fault and told_to_fail else self._error(order)
        content = order.content(self.content_hashes(order))
        return Task(
            task_id=secrets.token_hex(16),
            number=number,
            uid=account.uid,
            body=order.body(),
            submitted_at=now,
            start_at=start,
            end_at=end,
            failed=told_to_fail or error is not None,
            error=error,
            fail_word=(fault.word if fault else None) or self.config.fail_word,
            cost=cost,
            job=fingerprint(content),
            identity=order.identity(),
            content=content,
            notice_uuid=secrets.token_hex(16) if order.notice_url else None,
        )

    def _error(self, order: Order) -> str | None:
        """Why the task will fail, as far as its inputs tell."""
        if order.error is not None:
            return order.error
        if order.avatar_source in "03":
            face = self.shelf.content_of(order.avatar)
            if face is None or not face.facts.has_video:
                return "the avatar's video or picture can not be decoded"
        if order.audio_source == "0":
            voice = self.shelf.content_of(order.audio)
            if voice is None or not voice.facts.has_audio:
                return "the audio can not be decoded"
        return self._length_error(order)

    def _length_error(self, order: Order) -> str | None:
        longest = _AVATAR2_LONGEST_S.get(order.mode)
        if not self.config.length_limits or longest is None:
            return None
        voice = self.shelf.content_of(order.audio) if order.audio_source == "0" else None
        seconds = voice.facts.duration_s if voice else speech_s(order.audio, order.speed)
        if (seconds or 0.0) <= longest:
            return None
        return f"the audio is longer than {longest:g} seconds"

    def _accept(self, account: Account, task: Task) -> None:
        notes: list[Statement] = [_task_row(task)]
        for key in ("videoFileId", "imageFileId", "audioFileId"):
            if key in task.body:
                notes += self.shelf.use(task.body[key])
        if self.config.charge == "submit":
            notes.append(self._book(account, task, task.cost, task.submitted_at))
        else:
            account.reserved += task.cost
        self.tasks[task.task_id] = task
        account.open.add(task)
        if len(account.open) > self.unfinished_peak:
            self.unfinished_peak = len(account.open)
            notes.append(insert("meta", key="unfinished_peak", value=str(self.unfinished_peak)))
        self.store.note(*notes)
        self.wake.set()

    def _end(self, account: Account, task: Task) -> list[Statement]:
        task.settled = True
        notes = [update("tasks", "number", task.number, settled=1)]
        if self.config.charge == "success":
            account.reserved -= task.cost
            if not task.failed:
                notes.append(self._book(account, task, task.cost, task.end_at))
        elif task.failed:
            notes.append(self._book(account, task, -task.cost, task.end_at))
        if not task.failed and task.body.get("isSave2CustomAiAvatar"):
            notes += self._save_avatar(account, task)
        return notes

    def _book(self, account: Account, task: Task, cost: float, at: float) -> Statement:
        entry = Entry(at=at, cost=cost, task_id=task.task_id)
        account.book(entry)
        return (
            "INSERT INTO ledger (uid, at, cost, task_id, task_type) VALUES (?, ?, ?, ?, ?)",
            (account.uid, entry.at, entry.cost, entry.task_id, entry.task_type),
        )

    def _save_avatar(self, account: Account, task: Task) -> list[Statement]:
        face = task.content.get("videoHash") or task.content.get("imageHash")
        if not face:
            return []
        avatar_id = str(100_000 + task.number)
        name = f"Avatar of {task.task_id[:8]}"
        avatar = catalog.private_avatar(avatar_id, name, task.end_at, task.number)
        account.add_avatar(avatar, face)
        return [
            insert(
                "avatars",
                avatar_id=avatar_id,
                uid=account.uid,
                name=name,
                face=face,
                created_at=task.end_at,
            )
        ]

    def _restore_avatar(self, row: sqlite3.Row) -> None:
        number = int(row["avatar_id"]) - 100_000
        avatar = catalog.private_avatar(row["avatar_id"], row["name"], row["created_at"], number)
        self.account(row["uid"]).add_avatar(avatar, row["face"])

    def _restore_task(self, row: sqlite3.Row) -> None:
        values = dict(row)
        for key in ("body", "content"):
            values[key] = json.loads(values[key])
        for key in ("failed", "settled", "notified", "end_told"):
            values[key] = bool(values[key])
        task = Task(**values)
        account = self.account(task.uid)
        account.slots.replay(task.end_at)
        self.tasks[task.task_id] = task
        if not task.settled:
            account.open.add(task)
            account.reserved += task.cost if self.config.charge == "success" else 0.0
        elif task.notice_uuid and not task.notified:
            self.ended.append(task)


def _task_row(task: Task) -> Statement:
    return insert(
        "tasks",
        number=task.number,
        task_id=task.task_id,
        uid=task.uid,
        body=json.dumps(task.body),
        content=json.dumps(task.content),
        submitted_at=task.submitted_at,
        start_at=task.start_at,
        end_at=task.end_at,
        failed=task.failed,
        error=task.error,
        fail_word=task.fail_word,
        cost=task.cost,
        job=task.job,
        identity=task.identity,
        notice_uuid=task.notice_uuid,
    )
