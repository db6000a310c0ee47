"""A manifest file to a Manifest: the whole way, with real files."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ManifestError
from orchestrator.manifest.read import check_manifest, examine_manifest, load_manifest
from orchestrator.manifest.source import Unreadable, read_bytes
from orchestrator.model import (
    AudioKind,
    AvatarKind,
    JobId,
    JobSpec,
    Limits,
    Manifest,
    Mode,
    OnDoubt,
    Place,
    Rate,
    Settings,
    Verify,
)

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
version: 1
batch: b
jobs:
  - {id: a, avatar: {public: "3327"}, audio: {text: Hi.}}
"""


def _load(folder: Path, text: str | bytes) -> Manifest:
    path = folder / "jobs.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return load_manifest(path)


def _told(folder: Path, data: bytes) -> list[str]:
    path = folder / "jobs.yaml"
    path.write_bytes(data)
    return [str(c).removeprefix(f"{path}:") for c in check_manifest(path)[1]]


def test_the_smallest_manifest_gets_every_default(tmp_path: Path) -> None:
    manifest = _load(tmp_path, GOOD)

    assert manifest == Manifest(
        path=tmp_path / "jobs.yaml",
        batch="b",
        settings=Settings(),
        jobs=(
            JobSpec(
                job_id=JobId("a"),
                avatar_kind=AvatarKind.PUBLIC,
                avatar="3327",
                audio_kind=AudioKind.TEXT,
                audio="Hi.",
                output=tmp_path / "out" / "b" / "a.mp4",
            ),
        ),
    )


def test_every_setting_is_read(tmp_path: Path) -> None:
    manifest = _load(
        tmp_path,
        """\
version: 1
batch: b
limits: {submit_rate: 20/min, request_rate: 100/h, in_flight: 3, uploads: 5, downloads: 6,
  poll_interval: 250ms}
budget: {credits: 12.5}
on_doubt: resubmit
doubt_horizon: 1h30m
task_deadline: 90s
stop_after: 7
verify: decode
retry: {renders: 2}
webhook: {url: "https://public.example/hook", listen: 127.0.0.1:8088}
jobs:
  - {id: a, avatar: {public: "3327"}, audio: {text: Hi.}}
""",
    )

    assert manifest.settings == Settings(
        limits=Limits(
            submit_rate=Rate(count=20, per_s=60.0),
            request_rate=Rate(count=100, per_s=3600.0),
            in_flight=3,
            uploads=5,
            downloads=6,
            poll_interval_s=0.25,
        ),
        budget_credits=12.5,
        on_doubt=OnDoubt.RESUBMIT,
        doubt_horizon_s=5400.0,
        task_deadline_s=90.0,
        stop_after=7,
        verify=Verify.DECODE,
        retry_renders=2,
        webhook_url="https://public.example/hook",
        webhook_listen="127.0.0.1:8088",
    )


def test_null_is_the_same_as_leaving_a_setting_out(tmp_path: Path) -> None:
    text = (
        GOOD + "limits: {in_flight: null}\nbudget: ~\nverify:\nretry: {renders: }\noutput: null\n"
    )

    assert _load(tmp_path, text) == _load(tmp_path, GOOD)


def test_words_that_look_like_other_things_stay_text(tmp_path: Path) -> None:
    text = """\
version: "1"
batch: 2026
jobs:
  - {id: 1e3, avatar: {public: 0042}, audio: {text: no, voice: 1:30}, tags: [on, 1.0], caption: ~}
"""
    manifest = _load(tmp_path, text)
    job = manifest.jobs[0]

    assert manifest.batch == "2026"
    assert (job.job_id, job.avatar, job.audio, job.voice) == ("1e3", "0042", "no", "1:30")
    assert (job.tags, job.caption) == (("on", "1.0"), None)


def test_paths_are_taken_from_the_folder_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "jobs.yaml").write_text(
        "version: 1\nbatch: b\njobs:\n"
        "- {id: a, avatar: {video: ./m/a.mp4}, audio: {file: ../b.wav}, output: x/../y.mp4}\n"
        "- {id: b, avatar: {video: /m/a.mp4}, audio: {file: ~/b.wav}, output: /v/../y.mp4}\n"
    )
    monkeypatch.chdir(tmp_path)

    manifest = load_manifest(Path("here/jobs.yaml"))
    here = f"{tmp_path}/here"

    assert manifest.path == Path(here, "jobs.yaml")
    assert [(job.avatar, job.audio, str(job.output)) for job in manifest.jobs] == [
        (f"{here}/m/a.mp4", f"{here}/../b.wav", f"{here}/y.mp4"),
        ("/m/a.mp4", f"{here}/~/b.wav", "/y.mp4"),
    ]


def test_the_order_of_the_keys_does_not_matter(tmp_path: Path) -> None:
    head = "version: 1\nbatch: b\noutput: '{id}.mp4'\ndefaults: {audio: {voice: v}, priority: 3}\n"
    jobs = "jobs:\n  - {id: a, avatar: {private: '9'}, audio: {text: Hi.}}\n"

    assert _load(tmp_path, jobs + head) == _load(tmp_path, head + jobs)
    assert _load(tmp_path, jobs + head).jobs[0].voice == "v"


def test_a_complaint_is_not_doubled_when_the_text_is_read_twice(tmp_path: Path) -> None:
    jobs = "jobs:\n  - {id: a, id: b, avatar: {public: '9'}, audio: {text: Hi., speed: 2}}\n"

    told = _told(tmp_path, (jobs + "version: 1\nbatch: b\n").encode())

    assert told == [
        '2:13: the key "id" stands twice in one mapping, first at line 2; keep one of them',
        '2:69: audio.speed is "2"; write a number from 0.8 to 1.2',
    ]


def test_a_job_knows_where_its_values_stand(tmp_path: Path) -> None:
    text = """\
version: 1
batch: b
output: "{id}.mp4"
defaults: {audio: {text: Hello., voice: v}, mode: avatar1}
jobs:
  - id: a
    avatar: {public: "3327"}
    audio: {file: a.wav}
"""
    job = _load(tmp_path, text).jobs[0]

    places = {key: (place.line, place.column) for key, place in job.places.items()}
    assert places == {
        "": (6, 5),
        "id": (6, 9),
        "avatar": (7, 13),
        "avatar.public": (7, 22),
        "audio": (8, 12),
        "audio.file": (8, 19),
        "audio.voice": (4, 41),
        "mode": (4, 51),
        "output": (3, 9),
    }
    assert job.places["id"] == Place(file=str(tmp_path / "jobs.yaml"), line=6, column=9)


def test_a_text_file_gives_its_words_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_bytes("\ufeffGrüß dich,\nAnna.\n\n".encode())
    text = GOOD.replace("text: Hi.", "text_file: hello.txt")

    job = _load(tmp_path, text).jobs[0]

    assert (job.audio_kind, job.audio) == (AudioKind.TEXT, "Grüß dich,\nAnna.")
    assert job.places["audio.text"] == job.places["audio.text_file"]


def test_a_text_of_more_than_8000_characters_is_a_warning(tmp_path: Path) -> None:
    manifest = _load(tmp_path, GOOD.replace("Hi.", "x" * 8001))

    assert [c.problem for c in manifest.warnings] == [
        "the text to speak has 8001 characters, more than 8000"
    ]
    assert len(manifest.jobs) == 1


def test_a_wrong_manifest_raises_with_every_complaint(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        _load(tmp_path, GOOD.replace("version: 1", "verbose: 1").replace("a,", "a b,"))

    assert [(c.place.line, c.problem) for c in caught.value.complaints] == [
        (1, 'the key "verbose" is unknown'),
        (1, 'the key "version" is missing'),
        (4, 'id is "a b"'),
    ]
    assert caught.value.exit_code == 2


def test_right_jobs_and_the_files_of_wrong_ones_are_kept_of_a_wrong_manifest(
    tmp_path: Path,
) -> None:
    (tmp_path / "jobs.yaml").write_text(
        "version: 1\nbatch: b\njobs:\n"
        "- {id: right, avatar: {video: a.mp4}, audio: {file: a.wav}}\n"
        "- {id: un known, avatar: {video: b.mp4}, audio: {file: b.wav}, mode: avatar2}\n"
        "- {id: two, avatar: {video: no.mp4, public: '1'}, audio: {file: c.wav}}\n"
        "- {id: kind, avatar: {video: no.txt}, audio: {file: '{who}.wav'}}\n"
        "- {id: right-2, avatar: {video: a.mp4}, audio: {file: d.wav}}\n"
    )

    examined = examine_manifest(tmp_path / "jobs.yaml")

    assert examined.manifest is None
    assert [job.job_id for job in examined.jobs] == ["right", "right-2"]
    assert {
        (use.key, Path(use.path).name, use.mode, place.line)
        for use, (place, _) in examined.files.found.items()
    } == {
        ("avatar.video", "b.mp4", Mode.AVATAR2, 5),
        ("audio.file", "b.wav", Mode.AVATAR2, 5),
        ("audio.file", "c.wav", Mode.AVATAR1, 6),
    }


@pytest.mark.parametrize("name", ["rows.csv", "rows.TSV", "rows.jsonl", "rows.ndjson"])
def test_a_file_of_rows_is_no_manifest_and_says_what_to_type(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text('{"id": "a", "avatar.public": "3327", "audio.text": "The version: 2."}\n' * 2)

    assert [str(c) for c in check_manifest(path)[1]] == [
        f"{path}:1:1: this is a file of rows, not a manifest; to write a manifest for it:"
        f" orchestrator init {name}"
    ]


def test_a_manifest_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(GOOD)
    assert check_manifest(path)[1] == ()


def test_a_file_that_is_not_there_and_a_folder_are_complaints(tmp_path: Path) -> None:
    missing = check_manifest(tmp_path / "jobs.yaml")
    folder = check_manifest(tmp_path)
    odd = check_manifest(Path("a\0b"))

    assert [str(c) for c in missing[1]] == [
        f"{tmp_path}/jobs.yaml:1:1: there is no such manifest; check the path"
    ]
    assert [str(c) for c in folder[1]] == [
        f"{tmp_path}:1:1: this is a folder, not a manifest; name a file in it"
    ]
    assert [c.problem for c in odd[1]] == ["the manifest cannot be read: embedded null byte"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(GOOD)
    (tmp_path / "jobs.yaml").chmod(0)

    _, complaints = check_manifest(tmp_path / "jobs.yaml")

    assert [c.problem for c in complaints] == ["the manifest cannot be read: Permission denied"]


def test_a_device_without_an_end_is_no_manifest() -> None:
    with pytest.raises(Unreadable) as caught:
        read_bytes(Path("/dev/zero"), "manifest", max_bytes=1024**2)

    assert caught.value.problem == "this is larger than 1 MiB and surely not a manifest"


def test_a_byte_order_mark_is_a_warning(tmp_path: Path) -> None:
    manifest = _load(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())

    assert [str(c).partition(":1:1: ")[2] for c in manifest.warnings] == [
        'warning: the file begins with a byte order mark; save the file as UTF-8 (without "BOM")'
    ]
    assert len(manifest.jobs) == 1


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
def test_another_encoding_with_a_mark_is_one_complaint(tmp_path: Path, codec: str) -> None:
    assert _told(tmp_path, GOOD.encode(codec)) == [
        '1:1: the file is UTF-16 or UTF-32, not UTF-8; save the file as UTF-8 (without "BOM")'
    ]


def test_a_byte_that_is_not_utf_8_hides_nothing_else(tmp_path: Path) -> None:
    text = GOOD.replace("batch: b", "batch: B").replace("Hi.", "café")

    assert _told(tmp_path, text.encode("latin-1")) == [
        '2:8: batch is "B"; use a-z, 0-9, ".", "_" and "-", at most 64 of them; begin with a'
        " letter or a digit",
        "4:56: the file is not UTF-8: byte 0xe9 fits no character;"
        ' save the file as UTF-8 (without "BOM")',
    ]


def test_a_control_character_hides_nothing_else(tmp_path: Path) -> None:
    assert _told(tmp_path, GOOD.replace("Hi.", "H\x07i., speed: 2").encode()) == [
        "4:54: the control character U+0007 is not allowed; remove it",
        '4:66: audio.speed is "2"; write a number from 0.8 to 1.2',
    ]


def test_windows_line_ends_are_fine(tmp_path: Path) -> None:
    assert _load(tmp_path, GOOD.replace("\n", "\r\n")) == _load(tmp_path, GOOD)


def test_the_example_shows_every_legal_pairing() -> None:
    manifest = load_manifest(ROOT / "jobs.example.yaml")

    pairings = {(job.avatar_kind, job.audio_kind, job.mode) for job in manifest.jobs}
    assert pairings == {
        (avatar, audio, mode)
        for avatar in AvatarKind
        for audio in AudioKind
        for mode in Mode
        if not (avatar is AvatarKind.IMAGE and mode is Mode.AVATAR1)
    }
    assert manifest.warnings == ()
    assert any(job.caption for job in manifest.jobs)
    assert any(job.save_avatar for job in manifest.jobs)
    assert any(job.priority for job in manifest.jobs)
    assert any(job.tags for job in manifest.jobs)


def test_the_files_of_the_example_exist() -> None:
    manifest = load_manifest(ROOT / "jobs.example.yaml")

    assert [p for job in manifest.jobs for p in job.files if not Path(p).is_file()] == []


def test_the_package_itself_imports_neither_yaml_nor_pydantic() -> None:
    code = (
        "import sys, orchestrator.manifest as m;"
        "assert not {'yaml', 'pydantic'} & set(sys.modules);"
        "m.load_manifest; assert 'yaml' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


_SCALARS = ["a", "1", "1/s", "2h", "no", "~", "[]", "{}", "x.mp4", "x.png", "avatar2", "'{id}.mp4'"]
_SCALARS += ["'{x}'", "'{'", "'*.mp4'", "'{avatar}-{audio}'", "rows.csv"]
_KEYS = [
    *("version", "batch", "output", "limits", "budget", "on_doubt", "defaults", "jobs", "webhook"),
    *("retry", "verify", "id", "avatar", "audio", "mode", "tags", "caption", "priority"),
    *("save_avatar", "video", "public", "image", "file", "text", "text_file", "voice", "speed"),
    *("submit_rate", "in_flight", "credits", "renders", "<<", "vars", "avatars", "audios"),
    *("exclude", "include", "x"),
]
_TREES: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(_SCALARS),
    lambda inner: (
        st.lists(st.tuples(st.sampled_from(_KEYS), inner), max_size=5).map(
            lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(
    lists=st.fixed_dictionaries(
        {}, optional={"matrix": _TREES, "from": _TREES, "vars": _TREES, "jobs": _TREES}
    ),
    matrix=st.lists(_TREES, max_size=2),
)
def test_no_matrix_gives_a_traceback(
    lists: dict[str, str], matrix: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-matrix.yaml"
    listed = "".join(
        f'\n  - {{<<: {tree if tree[0] == "{" else "{}"}, id: "{{avatar}}-{{audio}}",'
        f" avatars: {{x: {tree}}}, include: [{tree}]}}"
        for tree in matrix
    )
    more = "".join(
        f"{key}: {tree}\n" for key, tree in lists.items() if key != "matrix" or not listed
    )
    path.write_text(f"version: 1\nbatch: b\n{more}{'matrix:' if listed else ''}{listed}\n")

    manifest, complaints = check_manifest(path)

    assert (manifest is None) == any(not c.warning for c in complaints)
    assert len(set(complaints)) == len(complaints)


def test_a_job_costs_less_than_a_kilobyte_of_memory(tmp_path: Path) -> None:
    head = "version: 1\nbatch: b\ndefaults: {audio: {voice: V}}\njobs:\n"
    job = "- {{id: job-{0}, avatar: {{video: a.mp4}}, audio: {{text: Hello {0}.}}, tags: [a, b]}}\n"
    _load(tmp_path, head + job.format(0))

    tracemalloc.start()
    try:
        manifest = _load(tmp_path, head + "".join(job.format(n) for n in range(2000)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(manifest.jobs) == 2000
    assert kept / 2000 < 1000


@settings(max_examples=400, deadline=None)
@given(tree=_TREES, jobs=st.lists(_TREES, max_size=3), tail=st.sampled_from(["", "]", "\n--- x"]))
def test_no_manifest_gives_a_traceback(
    tree: str, jobs: list[str], tail: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    listed = "".join(f"\n  - {job}" for job in jobs)
    path.write_text(f"version: 1\nbatch: b\ndefaults: {tree}\njobs:{listed}\n{tail}")

    manifest, complaints = check_manifest(path)

    assert (manifest is None) == any(not c.warning for c in complaints)
    if manifest is not None:
        assert len(manifest.jobs) == len(jobs)
    assert list(complaints) == sorted(complaints, key=lambda c: (c.place.line, c.place.column))
    assert len(set(complaints)) == len(complaints)
