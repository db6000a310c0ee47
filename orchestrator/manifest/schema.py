"""The manifest's keys as models: one description and one example each, for people and editors.

The models convert and check single values. What values mean together is checked in ``rules``.
Every key may be ``null``, which means the same as leaving it out.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from orchestrator.manifest.scalars import (
    Bandwidth,
    Count,
    CountOrAuto,
    CountOrZero,
    Credits,
    Duration,
    Flag,
    Listen,
    RateText,
    Speed,
    Version,
    WebAddress,
    Whole,
    Word,
)
from orchestrator.model import Mode, OnDoubt, Verify

DEFAULT_OUTPUT = "out/{batch}/{id}.mp4"

TAGS = ("<name>", "<source>")
"""Steps of a location that pydantic adds for the two forms of an avatar or audio in a rule."""

_VARS = {"propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"}}


def _key(description: str, *examples: Any, editor: dict[str, Any] | None = None) -> Any:
    return Field(
        default=None, description=description, examples=list(examples), json_schema_extra=editor
    )


def _form(value: Any) -> str:
    return TAGS[isinstance(value, dict)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Avatar(_Section):
    """The face: exactly one of the four sources."""

    model_config = ConfigDict(json_schema_extra={"maxProperties": 1})

    video: Word | None = _key("A video file on this machine: mp4, mov or avi.", "media/anna.mp4")
    public: Word | None = _key("The id of one of the vendor's own avatars.", "3327")
    private: Word | None = _key("The id of an avatar that your account has saved.", "9002")
    image: Word | None = _key(
        "A picture on this machine: png, jpg, jpeg, bmp or webp. Needs mode avatar2.",
        "media/anna.png",
    )


class Audio(_Section):
    """The voice: exactly one of file, text and text_file."""

    file: Word | None = _key("A sound file on this machine: mp3, wav or m4a.", "media/hello.wav")
    text: Word | None = _key("The words to speak (text to speech).", "Welcome.")
    text_file: Word | None = _key(
        "A UTF-8 text file with the words to speak; white space at its ends does not count.",
        "texts/hello.txt",
    )
    voice: Word | None = _key(
        "The id of the voice that speaks the text. Only a public avatar has a voice of its own.",
        "ExampleVoice0000000000000000Abcd",
    )
    speed: Speed | None = _key("How fast the text is spoken, from 0.8 to 1.2 (default 1.0).", 1.0)


class _JobKeys(_Section):
    """What a job says beside its id, its face and its voice."""

    mode: Mode | None = _key(
        "avatar1 (default) moves the mouth of the source; avatar2 animates everything from one"
        " picture, or from the first frame of a video.",
        "avatar1",
    )
    caption: Word | None = _key(
        "The id of a caption style; for public avatars only.", "cap-sample-1"
    )
    save_avatar: Flag | None = _key(
        "Keep the uploaded video or image as a private avatar (default false).", True
    )
    output: Word | None = _key(
        "Where the finished video goes, instead of the manifest's own output.", "out/{id}.mp4"
    )
    priority: Whole | None = _key(
        "Jobs with a higher number start earlier (default 0); may be negative.", 5
    )
    tags: list[Word] | None = _key("Words of your own, to find jobs by.", ["vip"])
    vars: dict[str, Word] | None = _key(
        "Values for {placeholders} in the texts of this job; they win over the batch's.",
        {"name": "Anna"},
        editor=_VARS,
    )


class JobDefaults(_JobKeys):
    """Values for every job that does not say otherwise."""

    avatar: Avatar | None = _key("The face.", {"video": "media/anna.mp4"})
    audio: Audio | None = _key("The voice.", {"file": "media/hello.wav"})


class Job(JobDefaults):
    """One video to make; several, if a path in it has * or ?."""

    id: Word = Field(
        description="The name of the job, unique in the manifest: letters, digits, '.', '_', '-'.",
        examples=["hello"],
    )


_AvatarOrName = Annotated[
    Annotated[Word, Tag(TAGS[0])] | Annotated[Avatar, Tag(TAGS[1])], Discriminator(_form)
]
_AudioOrName = Annotated[
    Annotated[Word, Tag(TAGS[0])] | Annotated[Audio, Tag(TAGS[1])], Discriminator(_form)
]


class Exclude(_Section):
    """Pairs that are not made: with this avatar, with this audio, or the one with both."""

    avatar: Word | None = _key("The name of an avatar of the matrix.", "ben")
    audio: Word | None = _key("The name of an audio of the matrix.", "de")


class Include(_JobKeys):
    """Other values for some pairs, or pairs of its own.

    The pairs with this avatar and this audio get the other keys; if there are none, they are made.
    """

    avatar: _AvatarOrName | None = _key(
        "The name of an avatar of the matrix, or a source of its own.", "ben"
    )
    audio: _AudioOrName | None = _key(
        "The name of an audio of the matrix, or a source of its own.", "de"
    )
    id: Word | None = _key("Another id for these pairs.", "ben-special")


class Matrix(JobDefaults):
    """A job for every avatar with every audio; its other keys are those of a job."""

    id: Word = Field(
        description="The template of the jobs' ids; {avatar} and {audio} are the names below.",
        examples=["{avatar}-{audio}"],
    )
    avatars: dict[str, Avatar] | None = _key(
        "The faces by name; a path with * or ? stands for one of each file that matches.",
        {"anna": {"video": "media/anna.mp4"}, "ben": {"public": "3327"}},
    )
    audios: dict[str, Audio] | None = _key(
        "The voices by name; a path with * or ? stands for one of each file that matches.",
        {"en": {"file": "media/en.wav"}, "de": {"file": "media/de.wav"}},
    )
    exclude: list[Exclude] | None = _key(
        "Pairs that are not made.", [{"avatar": "ben", "audio": "de"}]
    )
    include: list[Include] | None = _key(
        "Other values for some pairs, and pairs beside the others.",
        [{"avatar": "ben", "audio": "en", "mode": "avatar2"}],
    )


class Limits(_Section):
    """How much may happen at once."""

    submit_rate: RateText | None = _key("New videos asked for, at most (default 1/s).", "1/s")
    request_rate: RateText | None = _key("Calls to the vendor of any kind (default 5/s).", "5/s")
    in_flight: CountOrAuto | None = _key(
        "Unfinished videos at the vendor; auto (default) finds out how many the account may have.",
        "auto",
    )
    uploads: Count | None = _key("Uploads at the same time (default 4).", 4)
    downloads: Count | None = _key("Downloads at the same time (default 4).", 4)
    upload_bandwidth: Bandwidth | None = _key(
        "What all uploads together may take (default: no limit).", "10MB/s"
    )
    download_bandwidth: Bandwidth | None = _key(
        "What all downloads together may take (default: no limit).", "10MB/s"
    )
    poll_interval: Duration | None = _key(
        "The first wait before asking how a video is doing (default 5s); other waits that depend"
        " on the vendor's pace grow and shrink with it.",
        "5s",
    )


class Budget(_Section):
    """What the batch may cost."""

    credits: Credits | None = _key("So many credits at most, over all runs.", 200)


class Retry(_Section):
    """What is tried again without being asked."""

    renders: CountOrZero | None = _key(
        "How often a video that the vendor failed to make is asked for again (default 0).", 1
    )


class Webhook(_Section):
    """Notices from the vendor, which shorten the wait for finished videos."""

    url: WebAddress | None = _key(
        "The public address the vendor sends notices to.", "https://public.example/hook"
    )
    listen: Listen | None = _key("Where this program listens for them.", "127.0.0.1:8088")


class Head(_Section):
    """Everything in a manifest but its jobs."""

    version: Version = Field(description="The version of this format: 1.", examples=[1])
    batch: Word = Field(
        description="The name of the batch: a-z, 0-9, '.', '_', '-', at most 64 characters.",
        examples=["spring-campaign"],
    )
    output: Word | None = _key(
        "Where finished videos go; {batch} and {id} are filled in. Relative to the manifest's"
        f" folder, or absolute. Default: {DEFAULT_OUTPUT}",
        DEFAULT_OUTPUT,
    )
    limits: Limits | None = _key("How much may happen at once.", {"in_flight": 2})
    budget: Budget | None = _key("What the batch may cost.", {"credits": 200})
    on_doubt: OnDoubt | None = _key(
        "What becomes of a job when nobody can tell whether the vendor took it: hold (default)"
        " waits for you, resubmit asks again if the vendor's log shows no trace of it.",
        "hold",
    )
    doubt_horizon: Duration | None = _key(
        "How long the vendor's log is searched for a job in doubt (default 2h).", "2h"
    )
    task_deadline: Duration | None = _key(
        "After so long a video counts as overdue and holds no slot any more (default 2h).", "2h"
    )
    stop_after: Count | None = _key(
        "So many refusals in a row for the same reason end the run (default 10).", 10
    )
    verify: Verify | None = _key(
        "How a finished video is checked: length (all bytes came), container (default: and it"
        " opens and lasts as long as expected), decode (and it plays).",
        "container",
    )
    retry: Retry | None = _key("What is tried again without being asked.", {"renders": 1})
    webhook: Webhook | None = _key(
        "Notices from the vendor.", {"url": "https://public.example/hook"}
    )
    vars: dict[str, Word] | None = _key(
        "Values for {placeholders} in the texts of all jobs.", {"season": "spring"}, editor=_VARS
    )
    defaults: JobDefaults | None = _key(
        "Values for every job that does not say otherwise.", {"mode": "avatar1"}
    )


class ManifestFile(Head):
    """A batch of talking-avatar videos. Its jobs stand under jobs, matrix and from."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [key]} for key in ("jobs", "matrix", "from")]}
    )

    jobs: list[Job] | None = _key(
        "The videos to make, one by one.",
        [{"id": "hello", "avatar": {"public": "3327"}, "audio": {"text": "Hi."}}],
        editor={"minItems": 1},
    )
    matrix: list[Matrix] | None = _key(
        "Videos of every avatar with every audio.",
        [
            {
                "id": "{avatar}-{audio}",
                "avatars": {"anna": {"video": "media/anna.mp4"}, "ben": {"public": "3327"}},
                "audios": {"en": {"file": "media/en.wav"}, "de": {"file": "media/de.wav"}},
            }
        ],
        editor={"minItems": 1},
    )
    from_: list[Word] | Word | None = Field(
        default=None,
        alias="from",
        description="CSV or JSONL files with one video a row; columns are id, avatar.video,"
        " audio.text, audio.voice, and so on.",
        examples=["rows.csv", ["rows.csv", "more.jsonl"]],
    )


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a manifest as a YAML user writes it, for editors."""
    schema: dict[str, Any] = _without_noise(ManifestFile.model_json_schema(mode="validation"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "avatar-orchestrator manifest, version 1",
        **schema,
    }


def _without_noise(schema: Any) -> Any:
    """``schema`` without generated titles and ``default: null``, which help nobody."""
    if isinstance(schema, list):
        return [_without_noise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
