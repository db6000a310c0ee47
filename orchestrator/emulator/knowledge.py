"""Which ids an account may use: the view of the world that the submit rules ask."""

from __future__ import annotations

from orchestrator.emulator import catalog
from orchestrator.emulator.accounts import Account
from orchestrator.emulator.shelf import Upload
from orchestrator.emulator.world import World


class AccountKnowledge:
    """The vendor's ids as one account sees them. With an open catalogue, avatars, voices and
    captions that nobody has heard of are taken for known."""

    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self._account = account
        self._open = world.config.catalog == "open"

    def file_known(self, file_id: str) -> bool:
        """Whether a credential was given for the id."""
        return self._upload(file_id) is not None

    def file_format(self, file_id: str) -> str | None:
        """The format of an uploaded file."""
        upload = self._upload(file_id)
        return None if upload is None or upload.sha256 is None else upload.format

    def avatar(self, avatar_id: str, *, private: bool) -> bool:
        """Whether the avatar exists in that list."""
        known = self._account.avatars if private else catalog.PUBLIC
        return self._open or avatar_id in known

    def own_voice(self, avatar_id: str) -> str | None:
        """The voice that a public avatar brings along."""
        avatar = catalog.PUBLIC.get(avatar_id)
        if avatar is None:
            return catalog.DEFAULT_VOICE if self._open else None
        return avatar.voice

    def voice(self, voice_id: str) -> bool:
        """Whether the voice exists."""
        return self._open or voice_id in catalog.VOICE_IDS

    def caption(self, caption_id: str) -> bool:
        """Whether the caption style exists."""
        return self._open or caption_id in catalog.CAPTION_IDS

    def _upload(self, file_id: str) -> Upload | None:
        upload = self._world.shelf.uploads.get(file_id)
        return upload if upload is not None and upload.uid == self._account.uid else None
