"""A first manifest from a folder; it always validates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.manifest.read import check_text
from orchestrator.model import JobSpec, Manifest, Mode
from orchestrator.starter import starter_manifest

ROOT = Path(__file__).resolve().parents[2]


def _folder(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _manifest(folder: Path, batch: str | None = None, home: Path | None = None) -> Manifest:
    text = starter_manifest(folder, batch)
    manifest, complaints = check_text(text, (home or folder) / "jobs.yaml")
    assert [str(c) for c in complaints if not c.warning] == []
    assert manifest is not None
    return manifest


def _told(job: JobSpec, folder: Path) -> tuple[str, str, str, Mode]:
    avatar, audio = (str(Path(path).relative_to(folder)) for path in job.files)
    return job.job_id, avatar, audio, job.mode


def test_files_of_one_name_become_one_job_each(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path, "faces/anna.mp4", "faces/Ben.png", "voices/anna.wav", "voices/de/ben.MP3", "x.mov"
    )

    manifest = _manifest(folder)

    assert [_told(job, folder) for job in manifest.jobs] == [
        ("Ben", "faces/Ben.png", "voices/de/ben.MP3", Mode.AVATAR2),
        ("anna", "faces/anna.mp4", "voices/anna.wav", Mode.AVATAR1),
    ]
    assert '#   "x.mov"' in starter_manifest(folder)


def test_letters_with_marks_keep_their_plain_letters_in_ids(tmp_path: Path) -> None:
    names = ["ÖzgürFoto.png", "Straße.png", "Løkke.png", "ﬁlm.png", "日本.png"]
    folder = _folder(tmp_path, "a.wav", *names, "Bjo\u0308rk.png")

    ids = [job.job_id for job in _manifest(folder).jobs]

    wanted = ["OzgurFoto", "Strasse", "Lokke", "film", "file", "Bjork"]
    assert sorted(ids) == sorted(f"{name}-a" for name in wanted)


def test_without_pairs_every_face_meets_every_voice(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "anna.mp4", "ben.png", "en.wav", "de.m4a")

    manifest = _manifest(folder)

    assert [_told(job, folder) for job in manifest.jobs] == [
        ("anna-de", "anna.mp4", "de.m4a", Mode.AVATAR1),
        ("anna-en", "anna.mp4", "en.wav", Mode.AVATAR1),
        ("ben-de", "ben.png", "de.m4a", Mode.AVATAR2),
        ("ben-en", "ben.png", "en.wav", Mode.AVATAR2),
    ]


def test_names_are_made_of_what_an_id_may_hold_and_differ(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path, "Zoë (1).mp4", "b/Zoë (1).mov", "王.mp4", "null.png", "{x}.png", "a-b.mp4",
        "a.mp4", "c.wav", "b-c.wav", "123.wav",
    )  # fmt: skip

    manifest = _manifest(folder)

    ids = [job.job_id for job in manifest.jobs]
    assert len(ids) == 7 * 3
    wanted = {"Zoe-1--c", "Zoe-1-2--c", "file--c", "null--123", "x--c", "a-b--c", "a--b-c"}
    assert wanted <= set(ids)


def test_a_list_of_jobs_goes_before_everything_else(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "anna.mp4", "anna.wav", "notes.csv")
    (folder / "notes.csv").write_text("who,what\n")
    (folder / "list.csv").write_text("ID;Avatar Video;Audio File\none;anna.mp4;anna.wav\n")

    manifest = _manifest(folder)

    assert [job.job_id for job in manifest.jobs] == ["one"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_file_of_rows_gets_a_manifest_beside_it(name: str, tmp_path: Path) -> None:
    rows = {
        "rows.csv": "id,avatar.public,audio.text\na,1,Hi.\n",
        "rows.jsonl": '{"id": "a", "avatar.public": "1", "audio.text": "Hi."}\n',
    }
    (tmp_path / name).write_text(rows[name])

    assert [job.job_id for job in _manifest(tmp_path / name, home=tmp_path).jobs] == ["a"]


def test_our_own_results_and_hidden_files_are_no_input(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path, "anna.mp4", "anna.wav", "out/b/anna.mp4", "state/a.wav", ".hidden/anna.mp4",
        "rehearsal/anna.mp4", "._anna.mp4", "deep/out/anna.mov",
    )  # fmt: skip

    manifest = _manifest(folder)

    assert [Path(job.avatar).relative_to(folder).as_posix() for job in manifest.jobs] == [
        "anna.mp4",
        "deep/out/anna.mov",
    ]


def test_what_the_vendor_does_not_take_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "anna.mp4", "anna.wav", "song.ogg", "what?.mp4", "readme.txt")

    text = starter_manifest(folder)

    assert '#   "song.ogg"\n#   "what?.mp4"\n' in text
    assert "readme" not in text


@pytest.mark.parametrize(
    ("name", "batch"),
    [("Spring Campaign", "spring-campaign"), ("...", "batch"), ("2026", "2026"), ("Zoë", "zoe")],
)
def test_the_batch_is_named_after_the_folder(name: str, batch: str, tmp_path: Path) -> None:
    assert _manifest(_folder(tmp_path / name, "a.mp4", "a.wav")).batch == batch


def test_a_batch_may_be_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "a.mp4", "a.wav")

    assert _manifest(folder, "no").batch == "no"
    with pytest.raises(UsageError, match="cannot be named 'A b'"):
        starter_manifest(folder, "A b")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "has neither faces"),
        (["a.txt", "b.ogg"], "1 files there are of kinds that the vendor does not take"),
        (["a.mp4"], "has 1 faces but no voices"),
        (["a.wav", "b.wav"], "has 2 voices but no faces"),
        (["a.csv"], "has neither faces"),
    ],
)
def test_a_folder_in_which_nothing_fits_is_refused(
    names: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        starter_manifest(_folder(tmp_path, *names))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path, "a.mp4", "rows.csv")

    with pytest.raises(UsageError, match="is not there"):
        starter_manifest(tmp_path / "missing")
    with pytest.raises(UsageError, match="is not a folder"):
        starter_manifest(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="no column for the ids"):
        starter_manifest(tmp_path / "rows.csv")


_STEMS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda text: len(text.encode()) < 100 and text not in (".", ".."))
_NAMES = st.tuples(
    st.sampled_from(["", "a/", "b c/"]), _STEMS, st.sampled_from([".mp4", ".png", ".wav", ".gif"])
).map("".join)


@settings(max_examples=80, deadline=None)
@given(names=st.lists(_NAMES, max_size=8))
def test_every_manifest_that_is_made_validates(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = _folder(tmp_path_factory.mktemp("starter"), *names)
    try:
        manifest = _manifest(folder)
    except UsageError:
        return
    assert manifest.jobs
    assert [path for job in manifest.jobs for path in job.files if not Path(path).is_file()] == []


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, orchestrator.starter;assert not {'yaml', 'pydantic', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
