"""Every avatar with every audio."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from orchestrator.manifest.read import check_text
from orchestrator.model import AudioKind, AvatarKind, JobSpec, Manifest, Mode, Place

AXES = """\
    avatars: {anna: {video: a.mp4}, ben: {public: "3327"}}
    audios: {en: {file: en.wav}, de: {text: "Hallo {avatar}.", voice: V}}
"""


def _manifest(folder: Path, text: str) -> Manifest:
    manifest, complaints = check_text(f"version: 1\nbatch: b\n{text}", folder / "jobs.yaml")
    assert [str(c) for c in complaints] == []
    assert manifest is not None
    return manifest


def _jobs(folder: Path, rest: str = "", axes: str = AXES) -> dict[str, JobSpec]:
    text = f'matrix:\n  - id: "{{avatar}}-{{audio}}"\n{axes}{rest}'
    return {job.job_id: job for job in _manifest(folder, text).jobs}


def test_every_avatar_meets_every_audio_in_the_order_of_the_lists(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path)

    assert [
        (job.job_id, job.avatar_kind, job.avatar, job.audio_kind, job.audio, job.voice)
        for job in jobs.values()
    ] == [
        (
            "anna-en",
            AvatarKind.VIDEO,
            f"{tmp_path}/a.mp4",
            AudioKind.FILE,
            f"{tmp_path}/en.wav",
            None,
        ),
        ("anna-de", AvatarKind.VIDEO, f"{tmp_path}/a.mp4", AudioKind.TEXT, "Hallo anna.", "V"),
        ("ben-en", AvatarKind.PUBLIC, "3327", AudioKind.FILE, f"{tmp_path}/en.wav", None),
        ("ben-de", AvatarKind.PUBLIC, "3327", AudioKind.TEXT, "Hallo ben.", "V"),
    ]


def test_other_keys_hold_for_every_pair_and_defaults_lie_below(tmp_path: Path) -> None:
    manifest = _manifest(
        tmp_path,
        f"""\
defaults: {{mode: avatar1, priority: 3, audio: {{voice: D, speed: 1.1}}}}
matrix:
  - id: "{{avatar}}-{{audio}}"
    mode: avatar2
    audio: {{voice: M}}
    tags: ["{{audio}}"]
{AXES}""",
    )

    assert [(j.mode, j.priority, j.voice, j.speed, j.tags) for j in manifest.jobs] == [
        (Mode.AVATAR2, 3, None, 1.0, ("en",)),
        (Mode.AVATAR2, 3, "V", 1.1, ("de",)),
        (Mode.AVATAR2, 3, None, 1.0, ("en",)),
        (Mode.AVATAR2, 3, "V", 1.1, ("de",)),
    ]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("{avatar: ben, audio: de}", ["anna-en", "anna-de", "ben-en"]),
        ("{avatar: ben}", ["anna-en", "anna-de"]),
        ("{audio: en}", ["anna-de", "ben-de"]),
        ("{audio: en}, {avatar: ben}", ["anna-de"]),
    ],
)
def test_excluded_pairs_are_not_made(rule: str, left: list[str], tmp_path: Path) -> None:
    assert list(_jobs(tmp_path, f"    exclude: [{rule}]\n")) == left


def test_an_include_changes_the_pairs_that_it_names(tmp_path: Path) -> None:
    jobs = _jobs(
        tmp_path,
        """\
    include:
      - {avatar: ben, priority: 5}
      - {avatar: ben, audio: de, mode: avatar2, id: special, output: o.mp4}
""",
    )

    assert [(job.job_id, job.priority, job.mode) for job in jobs.values()] == [
        ("anna-en", 0, Mode.AVATAR1),
        ("anna-de", 0, Mode.AVATAR1),
        ("ben-en", 5, Mode.AVATAR1),
        ("special", 5, Mode.AVATAR2),
    ]
    assert jobs["special"].output == tmp_path / "o.mp4"


def test_an_include_brings_back_what_was_excluded_and_adds_sources_of_its_own(
    tmp_path: Path,
) -> None:
    jobs = _jobs(
        tmp_path,
        """\
    exclude: [{avatar: ben}]
    include:
      - {avatar: ben, audio: en}
      - {avatar: {private: "9"}, audio: en, id: guest}
      - {avatar: anna, audio: {text: Hi., voice: W}, id: anna-hi}
""",
    )

    assert [(job.job_id, job.avatar_kind, job.audio) for job in jobs.values()] == [
        ("anna-en", AvatarKind.VIDEO, f"{tmp_path}/en.wav"),
        ("anna-de", AvatarKind.VIDEO, "Hallo anna."),
        ("ben-en", AvatarKind.PUBLIC, f"{tmp_path}/en.wav"),
        ("guest", AvatarKind.PRIVATE, f"{tmp_path}/en.wav"),
        ("anna-hi", AvatarKind.VIDEO, "Hi."),
    ]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        (
            'avatar: {public: "1"}, audios: {en: {text: Hi.}, de: {text: Hallo.}}',
            {"x-en": ("1", "Hi."), "x-de": ("1", "Hallo.")},
        ),
        (
            'avatars: {a: {public: "1"}, b: {public: "2"}}, audio: {text: Hi.}',
            {"x-a": ("1", "Hi."), "x-b": ("2", "Hi.")},
        ),
    ],
)
def test_one_list_is_enough_where_the_other_side_is_single(
    axes: str, expected: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    name = "audio" if "audios" in axes else "avatar"
    manifest = _manifest(tmp_path, f'matrix: [{{id: "x-{{{name}}}", {axes}}}]\n')

    assert {job.job_id: (job.avatar, job.audio) for job in manifest.jobs} == expected


def test_patterns_in_a_list_are_known_by_stem_and_by_label(tmp_path: Path) -> None:
    for name in ("f/anna.mp4", "f/ben.mp4", "v/one.wav", "v/two.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    jobs = _jobs(
        tmp_path,
        """\
    exclude: [{avatar: ben, audio: one}, {avatar: star, audio: voices}]
    include: [{avatar: faces, audio: two, priority: 1}]
""",
        """\
    avatars: {faces: {video: f/*.mp4}, star: {public: "1"}}
    audios: {voices: {file: "v/*.wav"}, hi: {text: "Hi {avatar}", voice: V}}
""",
    )

    assert {job_id: job.priority for job_id, job in jobs.items()} == {
        "anna-one": 0,
        "anna-two": 1,
        "anna-hi": 0,
        "ben-two": 1,
        "ben-hi": 0,
        "star-hi": 0,
    }


def test_the_stem_is_known_if_only_one_side_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "anna.mp4").touch()
    manifest = _manifest(
        tmp_path,
        'matrix: [{id: "{stem}-{audio}", avatars: {f: {video: "*.mp4"}},'
        ' audios: {t: {text: "{stem}", voice: V}}, output: out/x.mp4}]',
    )

    assert [(job.job_id, job.audio) for job in manifest.jobs] == [("anna-t", "anna")]


def test_a_job_of_a_matrix_knows_where_its_values_stand(tmp_path: Path) -> None:
    (job, *_) = _jobs(tmp_path).values()
    file = str(tmp_path / "jobs.yaml")

    assert {key: (p.line, p.column) for key, p in job.places.items()} == {
        "": (4, 5),
        "id": (4, 9),
        "avatar": (5, 21),
        "avatar.video": (5, 29),
        "audio": (6, 18),
        "audio.file": (6, 25),
    }
    assert job.places["audio.file"] == Place(file=file, line=6, column=25)


def test_jobs_come_before_matrices_and_these_before_rows(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,avatar.public,audio.text\nrow,1,Hi.\n")
    manifest = _manifest(
        tmp_path,
        'from: rows.csv\nmatrix: [{id: "{avatar}", avatars: {pair: {public: "1"}},'
        ' audio: {text: Hi.}}]\njobs: [{id: job, avatar: {public: "1"}, audio: {text: Hi.}}]\n',
    )

    assert [job.job_id for job in manifest.jobs] == ["job", "pair", "row"]


def test_the_pairs_are_made_one_at_a_time(tmp_path: Path) -> None:
    faces = ", ".join(f"a{n}: {{public: '{n}'}}" for n in range(60))
    voices = ", ".join(f"v{n}: {{text: Hi.}}" for n in range(60))
    axes = f"    avatars: {{{faces}}}\n    audios: {{{voices}}}\n"

    tracemalloc.start()
    try:
        jobs = _jobs(tmp_path, axes=axes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(jobs) == 3600
    assert peak / len(jobs) < 2500
