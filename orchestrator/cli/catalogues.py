"""``orchestrator avatars``, ``voices``, ``captions``, ``ethnicities``, ``credits``: the vendor's
lists, as they are or as they were when somebody last asked."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import facade, options, output
from orchestrator.cli.guard import guarded
from orchestrator.cli.logs import log_everything
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.catalogues.facade import Catalogues, Credits, Listing
    from orchestrator.cli.listing import Face

_COPY = """

The list is kept in the state folder; when the vendor cannot be reached, or with
--offline, that copy is shown and its age said."""

AVATARS_EXAMPLES = f"""\b
Examples:
  orchestrator avatars --gender female --name ana
  orchestrator avatars --ethnicity "Sample A" --limit 20
  orchestrator avatars --private --json | jq -r '.avatars[].id'

\b
The first column is what a job needs: avatar: {{public: "3327"}}.{_COPY}"""

VOICES_EXAMPLES = f"""\b
Examples:
  orchestrator voices --language de --gender female
  orchestrator voices --style UGC --age "middle age" --limit 20
  orchestrator voices --private --csv > voices.csv

\b
The first column is what a job needs: audio: {{text: "Hello.", voice: ID}}.{_COPY}"""

CAPTIONS_EXAMPLES = f"""\b
Examples:
  orchestrator captions
  orchestrator captions --json | jq -r '.captions[].picture'{_COPY}"""

ETHNICITIES_EXAMPLES = """\b
Examples:
  orchestrator ethnicities
  orchestrator ethnicities --json | jq -r '.ethnicities[].name'
  orchestrator avatars --ethnicity "Sample A"        a name from this list"""

CREDITS_EXAMPLES = """\b
Examples:
  orchestrator credits
  orchestrator credits --log --since 24h
  orchestrator credits --log --csv > charges.csv"""

Gender = Annotated[
    str | None, typer.Option("--gender", metavar="WORD", help="Only these: male or female.")
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", help="Only names with TEXT in them, in any case."),
]
Private = Annotated[
    bool, typer.Option("--private", help="Those of your account instead of the public ones.")
]
Ethnicities = Annotated[
    list[str] | None,
    typer.Option(
        "--ethnicity",
        metavar="NAME",
        help="Only this one (see 'orchestrator ethnicities'); may be given several times.",
    ),
]
Language = Annotated[
    str | None,
    typer.Option("--language", metavar="CODE", help="Only this language: en, de, zh-CN, ..."),
]
Age = Annotated[
    str | None, typer.Option("--age", metavar="WORD", help="Only these: Young, Middle Age or Old.")
]
Style = Annotated[
    str | None,
    typer.Option(
        "--style",
        metavar="WORD",
        help="Only these: UGC, Advertisement, Cartoon_And_Animals or Influencer.",
    ),
]
Accent = Annotated[
    str | None, typer.Option("--accent", metavar="WORD", help="Only this one, such as American.")
]
Most = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Show at most N lines. Default: all."),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Ask nobody: show the copy in the state folder.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")]
Log = Annotated[bool, typer.Option("--log", help="Show the tasks that were charged, too.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="SPAN",
        help="How far back the log goes: 90m, 24h, 7d, 2w. Default: 7d.",
    ),
]


@guarded
def avatars(
    gender: Gender = None,
    ethnicity: Ethnicities = None,
    private: Private = False,
    name: Name = None,
    limit: Most = None,
    offline: Offline = False,
    as_csv: Csv = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List avatars that jobs can name: the vendor's, or those of your account."""
    from orchestrator.catalogues.filters import AvatarFilter
    from orchestrator.cli.listing import AVATARS

    wanted = AvatarFilter(
        gender=gender, ethnicities=tuple(ethnicity or ()), private=private, name=name
    )
    show = _Show("avatars", limit, as_csv, as_json, debug)
    return show.items(AVATARS, make_catalogues(state, offline).avatars(wanted))


@guarded
def voices(
    language: Language = None,
    gender: Gender = None,
    age: Age = None,
    style: Style = None,
    accent: Accent = None,
    private: Private = False,
    name: Name = None,
    limit: Most = None,
    offline: Offline = False,
    as_csv: Csv = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List voices that jobs with text can name: the vendor's, or those of your account."""
    from orchestrator.catalogues.filters import VoiceFilter
    from orchestrator.cli.listing import VOICES

    wanted = VoiceFilter(
        language=language,
        gender=gender,
        age=age,
        style=style,
        accent=accent,
        private=private,
        name=name,
    )
    show = _Show("voices", limit, as_csv, as_json, debug)
    return show.items(VOICES, make_catalogues(state, offline).voices(wanted))


@guarded
def captions(
    limit: Most = None,
    offline: Offline = False,
    as_csv: Csv = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List the styles of captions; only jobs with a public avatar can have one."""
    from orchestrator.cli.listing import CAPTIONS

    show = _Show("captions", limit, as_csv, as_json, debug)
    return show.items(CAPTIONS, make_catalogues(state, offline).captions())


@guarded
def ethnicities(
    limit: Most = None,
    offline: Offline = False,
    as_csv: Csv = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """List the names that 'avatars --ethnicity' takes."""
    from orchestrator.cli.listing import ETHNICITIES

    show = _Show("ethnicities", limit, as_csv, as_json, debug)
    return show.items(ETHNICITIES, make_catalogues(state, offline).ethnicities())


@guarded
def credits(
    log: Log = False,
    since: Since = None,
    limit: Most = None,
    offline: Offline = False,
    as_csv: Csv = False,
    state: options.StateDir = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Show how many credits are left, and what was charged."""
    from orchestrator.catalogues.filters import span_s

    if since is not None and not log:
        raise UsageError("--since is for the log: add --log, or leave it out")
    span = span_s("--since", since or "7d") if log else None
    show = _Show("credits", limit, as_csv, as_json, debug)
    return show.account(make_catalogues(state, offline).credits(span))


def make_catalogues(state: Path | None, offline: bool) -> Catalogues:
    """The facade for the lists."""
    from orchestrator.catalogues.facade import Catalogues

    return Catalogues(state, offline=offline)


class _Show:
    """How the answer is to be printed."""

    def __init__(
        self, name: str, limit: int | None, as_csv: bool, as_json: bool, debug: bool
    ) -> None:
        if as_csv and as_json:
            raise UsageError("--csv and --json exclude each other: give one of them")
        log_everything(debug)
        self._name, self._limit = name, limit
        self._csv, self._json = as_csv, as_json

    def items(self, face: Face[Any], asking: Coroutine[Any, Any, Listing[Any]]) -> int:
        """Ask for a list and print it."""
        from orchestrator.cli import listing

        found = facade.loop_of(asking)
        shown = found.items[: self._limit]
        left_out: list[str] = []
        if self._json:
            output.document(listing.document(self._name, found, shown))
        elif self._csv:
            output.out(listing.as_csv(face.kind, shown))
        elif shown:
            lines, left_out = listing.table(face, shown, output.width())
            output.out(lines)
        output.tell(listing.table_notes(face, found, len(shown), left_out))
        return 0

    def account(self, asking: Coroutine[Any, Any, Credits]) -> int:
        """Ask for the credits and print them."""
        from orchestrator.cli import listing

        found = facade.loop_of(asking)
        shown = (found.charges or ())[: self._limit]
        if self._json:
            output.document(listing.credits_document(found, shown))
        elif self._csv:
            output.out(listing.credits_csv(found, shown))
        else:
            output.out([listing.balance_line(found)])
            if shown:
                output.out(["", *listing.table(listing.CHARGES, shown, output.width())[0]])
        logged = found.charges is not None
        output.tell(listing.log_notes(found, len(shown)) if logged else listing.age_notes(found))
        return 0
