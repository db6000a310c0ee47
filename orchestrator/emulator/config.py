"""What the emulated vendor is like when nothing goes wrong: one frozen record of settings.

Every place where the real vendor's behaviour is unknown is a setting here; the default is the
conservative guess of the contract's register of unknowns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

from orchestrator.errors import UsageError

DAY_S = 86_400.0
SHORTEST_LINK_S = 30.0
"""Scaling time never makes a link live shorter than this: the network is not scaled."""

Render = Literal["lognormal", "constant", "zero"]
OverSlots = Literal["queue", "refuse"]
RateAnswer = Literal["429", "4007", "5003"]
RetryAfter = Literal["seconds", "date", "none"]
Charge = Literal["success", "submit"]
Webhooks = Literal["once", "twice", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorConfig:
    """Settings of the emulated vendor. Times are the vendor's seconds, before scaling.

    ``time_scale`` (> 0) divides render times, link lifetimes (never below 30 s by scaling
    alone) and the seven days of storage. ``uid`` and ``api_key``: None accepts any non-empty
    value. ``port`` 0 takes free ports; otherwise API, object store and CDN listen on ``port``,
    ``port + 1`` and ``port + 2``. ``rate_limit`` is requests in any second over the whole API,
    None is no limit. ``catalog`` "open" takes any avatar, voice and caption id, for rehearsals
    of batches that use ids of a real account. ``clock_offset_s`` shifts the vendor's clock.
    """

    port: int = 0
    uid: str | None = None
    api_key: str | None = None
    seed: int = 0
    time_scale: float = 1.0
    clock_offset_s: float = 0.0
    render: Render = "lognormal"
    render_mean_s: float = 160.0
    render_sigma: float = 0.3
    render_min_s: float = 70.0
    render_max_s: float = 270.0
    slots: int = 4
    over_slots: OverSlots = "queue"
    rate_limit: int | None = None
    rate_answer: RateAnswer = "429"
    retry_after: RetryAfter = "seconds"
    retry_after_s: int = 1
    balance: float = 1000.0
    charge: Charge = "success"
    catalog: Literal["strict", "open"] = "strict"
    submit_status: Literal["success", "init"] = "success"
    fail_word: Literal["fail", "failed"] = "fail"
    auth_status: Literal[401, 200] = 401
    unusable_file: Literal["refuse", "fail"] = "refuse"
    mode_2: Literal["accept", "refuse"] = "accept"
    length_limits: bool = False
    caption_elsewhere: Literal["ignore", "refuse"] = "ignore"
    ethnicity_shape: Literal["paged", "list"] = "paged"
    gateway_body: Literal["json", "html"] = "json"
    show_image_file_id: bool = False
    show_cost: bool = False
    upload_link_s: float = 3600.0
    result_link_s: float = DAY_S
    keep_s: float = 7 * DAY_S
    webhooks: Webhooks = "once"
    webhook_result: Literal["object", "string"] = "object"
    webhook_tries: int = 3
    webhook_timeout_s: float = 10.0
    webhook_pause_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse values that make no sense; the message names the setting."""
        hints = get_type_hints(type(self))
        for key in hints:
            _check(key, getattr(self, key), hints[key])
        for key in _POSITIVE:
            if not getattr(self, key) > 0:
                raise UsageError(f"emulator setting {key}: must be greater than 0")
        if self.rate_limit is not None and self.rate_limit < 1:
            raise UsageError("emulator setting rate_limit: must be at least 1, or null for none")
        if self.render == "lognormal" and not self.render_mean_s > 0:
            raise UsageError("emulator setting render_mean_s: must be greater than 0")
        if self.render_min_s > self.render_max_s:
            raise UsageError("emulator setting render_min_s: must not exceed render_max_s")

    def scaled(self, seconds: float) -> float:
        """The vendor's seconds as seconds of this machine."""
        return seconds / self.time_scale

    def link_life_s(self, seconds: float) -> float:
        """Scaled, but not below 30 s unless the setting itself is shorter."""
        return max(self.scaled(seconds), min(seconds, SHORTEST_LINK_S))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> EmulatorConfig:
        """Read settings from JSON or YAML values.

        Raises:
            UsageError: an unknown key (with the nearest known one) or a wrong value.
        """
        known = [f.name for f in fields(cls)]
        for key in data:
            if key not in known:
                near = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                raise UsageError(f"emulator setting {key}: no such setting; {hint}")
        return cls(**data)


_POSITIVE = ("time_scale", "slots", "upload_link_s", "result_link_s", "keep_s", "webhook_tries")


def _check(key: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal:
        _check_choice(key, value, get_args(hint))
        return
    allowed = get_args(hint) or (hint,)
    if float in allowed:
        allowed = (*allowed, int)
    wrong_bool = isinstance(value, bool) and bool not in allowed
    if wrong_bool or not isinstance(value, allowed):
        names = " or ".join("null" if t is type(None) else t.__name__ for t in allowed)
        raise UsageError(f"emulator setting {key}: {value!r} is not {names}")
    if isinstance(value, int | float) and value < 0 and key not in {"clock_offset_s", "seed"}:
        raise UsageError(f"emulator setting {key}: must not be negative")


def _check_choice(key: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        options = ", ".join(str(c) for c in choices)
        raise UsageError(f"emulator setting {key}: {value!r} is not one of {options}")
