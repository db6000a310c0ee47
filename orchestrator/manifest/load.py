"""YAML text to nodes: libyaml's event stream, with positions, one job at a time.

The rules (``docs/manifest.md``): scalars are text; duplicate keys, tags, a second document and
undefined aliases are complaints; anchors and ``<<`` work; the nodes that aliases stand for are
counted, so that a few lines cannot expand into billions; a syntax error is one complaint among all
the others that were found before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestrator.manifest.frames import Frame, Key, Skip
from orchestrator.manifest.nodes import Entry, Node, Rows, Spoiled, Spot, Table, Text, merge_into
from orchestrator.manifest.source import tab_above
from orchestrator.model import Complaint, Place

MAX_ALIAS_NODES = 10_000
"""So many nodes may come from aliases, and ..."""
ALIAS_NODES_PER_JOB = 100
"""... so many more for every job that was read, so that long manifests may use aliases too."""
MAX_DEPTH = 100
"""Deeper nesting than this is no manifest; what stands beside it is still read."""
HOPELESS_DEPTH = 1000
"""Deeper nesting than this ends the reading: libyaml's time grows with the square of the depth."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STARTS = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


@dataclass(slots=True)
class JobNode:
    """One item of the list of jobs; ``cut``: a syntax error ended the file inside of it."""

    node: Node
    cut: bool


@dataclass(slots=True)
class Document:
    """A YAML text being read. ``top`` grows while :meth:`jobs` is iterated.

    ``complaints`` receives what is wrong with the text as YAML; ``cut`` says that a syntax error
    ended it, so that nothing may be called missing.
    """

    data: bytes | str
    file: str
    complaints: list[Complaint] = field(default_factory=list)
    top: Table | None = None
    cut: bool = False
    loader: Any = None
    _stack: list[Frame] = field(default_factory=list)
    _jobs: Frame | None = None
    _ready: Node | None = None
    _anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    _expanded: int = 0
    _allowed: int = MAX_ALIAS_NODES
    _bomb: bool = False
    _skip: Skip | None = None
    _documents: int = 0
    _hopeless: bool = False

    def jobs(self) -> Iterator[JobNode]:
        """Read to the end; yield every job as soon as it is complete, in the order of the file."""
        try:
            loader = (self.loader or LOADER)(self.data)
            try:
                yield from self._read(loader.get_event)
            finally:
                loader.dispose()
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # The last two: the pure loader's answer to escapes such as "\UFFFFFFFF".
            self.cut = True
            self._syntax_error(error)
        if self.cut and (cut_job := self._close_all()) is not None:
            yield JobNode(cut_job, cut=True)
        yield from self._unstreamed()

    def complain(self, spot: Spot, problem: str, remedy: str) -> None:
        """Remember that something is wrong at ``spot``."""
        place = Place(file=self.file, line=spot[0], column=spot[1])
        self.complaints.append(Complaint(place=place, problem=problem, remedy=remedy))

    def _read(self, get_event: Callable[[], Any]) -> Iterator[JobNode]:
        handlers, end = self._handlers(), yaml.StreamEndEvent
        while type(event := get_event()) is not end:
            if self._skip is not None:
                self._pass_over(event)
            else:
                handlers[type(event)](event)
            if self._ready is not None:
                node, self._ready = self._ready, None
                self._allowed += ALIAS_NODES_PER_JOB
                yield JobNode(node, cut=False)
            elif self._documents > 1 or self._hopeless:
                break

    def _syntax_error(self, error: Exception) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        spot = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        inside_brackets = "flow" in str(getattr(error, "context", ""))  # tabs are allowed there
        if not inside_brackets and (tab := tab_above(self.data, spot[0])) is not None:
            self.complain(tab, f"{_NO_YAML}: a tab indents this line", _SPACES)
            return
        words = getattr(error, "problem", None) or str(error) or type(error).__name__
        if context := getattr(error, "context", None):
            words = f"{words} ({context})"
        self.complain(
            spot,
            f"{_NO_YAML}: {words}",
            "look here and just above for wrong indentation, an open quote or bracket, or a text"
            " with one of { } [ ] : # in it that needs quotes",
        )

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        return {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
            yaml.DocumentEndEvent: _nothing,
            yaml.StreamStartEvent: _nothing,
        }

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self.complain(
                _spot(event),
                "a second document begins here",
                'one file holds one manifest: remove this "---" and what follows it',
            )

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        spot = (mark.line + 1, mark.column + 1)
        if event.tag is not None:
            self._refuse_tag(event.tag, spot)
        value, plain = event.value, not event.style
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and type(frame.node) is Table:
            frame.key = Key(value, spot, merges=plain and value == "<<")
            return
        node = Text(None if plain and value in _NULLS else value, spot)
        if frame is None:
            self._add(node, 1)
        else:
            self._put(frame, node, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, 1)

    def _start(self, event: Any) -> None:
        spot = _spot(event)
        if event.tag is not None:
            self._refuse_tag(event.tag, spot)
        table = type(event) is yaml.MappingStartEvent
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.key is None and type(parent.node) is Table:
            self.complain(spot, f"a {'mapping' if table else 'list'} is used as a key", _KEYS)
            self._skip = Skip(spot, as_key=True)
            return
        if len(self._stack) >= MAX_DEPTH:
            remedy = "a manifest needs no more than a few levels"
            self.complain(spot, f"more than {MAX_DEPTH} levels are nested here", remedy)
            self._skip = Skip(spot, as_key=False)
            return
        node = Table({}, spot) if table else Rows([], spot)
        frame = Frame(node, event.anchor)
        if self._is_jobs(parent, node, event.anchor):
            self._jobs = frame
        if parent is None and isinstance(node, Table):
            self.top = node
        self._stack.append(frame)

    def _is_jobs(self, parent: Frame | None, node: Node, anchor: str | None) -> bool:
        """Whether this is the list of jobs itself. One with an anchor has to be kept whole."""
        return (
            len(self._stack) == 1
            and isinstance(node, Rows)
            and anchor is None
            and parent is not None
            and parent.key is not None
            and parent.key.name == "jobs"
            and self.top is not None
            and "jobs" not in self.top.entries
        )

    def _end(self, event: Any) -> None:
        frame = self._stack.pop()
        if frame.merged is not None:
            self._merge(frame.node, frame.merged)
        if frame is self._jobs:
            self._jobs = None
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.node, frame.weight)
        self._add(frame.node, frame.weight)

    def _alias(self, event: Any) -> None:
        spot, name = _spot(event), event.anchor
        if self._stack and type(self._stack[-1].node) is Table and self._stack[-1].key is None:
            self.complain(spot, f"the alias *{name} is used as a key", _KEYS)
            self._stack[-1].key = Key(None, spot)
            return
        if name not in self._anchors:
            if any(frame.anchor == name for frame in self._stack):
                self.complain(spot, f"the alias *{name} stands inside of what it names", _DEFINE)
            else:
                self.complain(spot, f"the alias *{name} names nothing above", _DEFINE)
            self._add(Spoiled(spot), 1)
            return
        node, weight = self._anchors[name]
        self._expanded += weight
        if self._expanded > self._allowed:
            self._refuse_bomb(spot)
            node, weight = Spoiled(spot), 1
        self._add(node, weight)

    def _refuse_bomb(self, spot: Spot) -> None:
        if not self._bomb:
            self._bomb = True
            self.complain(
                spot,
                f"the aliases up to here stand for more than {self._allowed:,} values",
                "write the values out, or use fewer aliases",
            )

    def _refuse_tag(self, tag: str, spot: Spot) -> None:
        self.complain(
            spot,
            f"the tag {_short_tag(tag)} has no meaning in a manifest",
            "remove it; every value is read as text and converted by its key",
        )

    def _add(self, node: Node, weight: int) -> None:
        """Give a complete node to whatever is open."""
        if not self._stack:
            if self.top is None and type(node) is not Table:
                self._refuse_top(node)
            return
        self._put(self._stack[-1], node, weight)

    def _put(self, frame: Frame, node: Node, weight: int) -> None:
        frame.weight += weight
        parent = frame.node
        if type(parent) is Table:
            key, frame.key = frame.key, None
            if key is None or key.merges or key.name is None or key.name in parent.entries:
                self._set(frame, parent, key, node)
            else:
                parent.entries[key.name] = Entry(key.spot, node)
        elif frame is self._jobs:
            self._ready = node
        elif type(parent) is Rows:
            parent.items.append(node)

    def _set(self, frame: Frame, table: Table, key: Key | None, node: Node) -> None:
        """What is not simply a new key: one that was dropped, a merge, a double."""
        if key is None or key.name is None:
            return
        if key.merges:
            if frame.merged is None:
                frame.merged = Entry(key.spot, node)
            else:
                self._refuse_duplicate("<<", key.spot, frame.merged.key_spot)
        elif key.name in table.entries:
            self._refuse_duplicate(key.name, key.spot, table.entries[key.name].key_spot)

    def _refuse_duplicate(self, name: str, spot: Spot, first: Spot) -> None:
        self.complain(
            spot,
            f'the key "{name}" stands twice in one mapping, first at line {first[0]}',
            "keep one of them",
        )

    def _merge(self, table: Table | Rows, merged: Entry) -> None:
        for bad in merge_into(table, merged.value):
            remedy = 'write "<<: *name" or "<<: [*one, *two]", naming mappings'
            self.complain(bad.spot, '"<<" can only merge mappings', remedy)

    def _refuse_top(self, node: Node) -> None:
        if isinstance(node, Text) and node.value is None:
            self.complain(node.spot, "the manifest is empty", HOW_TO_BEGIN)
        elif not isinstance(node, Spoiled):
            what = "a list" if isinstance(node, Rows) else "a text"
            self.complain(node.spot, f"the manifest is {what}, not a mapping", HOW_TO_BEGIN)

    def _pass_over(self, event: Any) -> None:
        skip = self._skip
        assert skip is not None
        if isinstance(event, _STARTS):
            skip.depth += 1
        elif isinstance(event, _ENDS):
            skip.depth -= 1
        if skip.depth > HOPELESS_DEPTH:
            self.cut = self._hopeless = True
        elif skip.depth == 0:
            self._skip = None
            if skip.as_key:
                self._stack[-1].key = Key(None, skip.spot)
            else:
                self._add(Spoiled(skip.spot), 1)

    def _close_all(self) -> Node | None:
        """After a syntax error: close what is open; the unfinished job, if there was one."""
        self._skip = None
        while self._stack:
            self._end(None)
        job, self._ready = self._ready, None
        return job

    def _unstreamed(self) -> Iterator[JobNode]:
        """Jobs of a list that was not streamed: one with an anchor, an alias, or a merged one."""
        entry = self.top.entries.get("jobs") if self.top is not None else None
        if entry is not None and isinstance(entry.value, Rows):
            for node in entry.value.items:
                yield JobNode(node, cut=self.cut)


HOW_TO_BEGIN = 'begin with the keys "version: 1", "batch: NAME" and "jobs:"'
_NO_YAML = "this is not valid YAML"
_SPACES = "only spaces may do that: write two for every step to the right"
_KEYS = "a key is a plain word, followed by a colon"
_DEFINE = 'mark the value once with "&name" before it is used as "*name"'


def _nothing(event: Any) -> None:
    """The event says nothing about the content."""


def _spot(event: Any) -> Spot:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
