"""CSV and JSONL files with one job a row."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.manifest.columns import column_key, known_columns
from orchestrator.manifest.csvtext import delimiter_of
from orchestrator.manifest.jsontext import LineReader, NotJson
from orchestrator.manifest.nodes import Table, key_spot, plain_of
from orchestrator.manifest.read import check_manifest
from orchestrator.manifest.rows import first_keys
from orchestrator.model import JobSpec, Manifest, Mode, Place


def _manifest(folder: Path, rows: str | bytes, name: str = "rows.csv", more: str = "") -> Manifest:
    (folder / name).write_bytes(rows if isinstance(rows, bytes) else rows.encode("utf-8"))
    (folder / "jobs.yaml").write_text(f"version: 1\nbatch: b\nfrom: {name}\n{more}")
    manifest, complaints = check_manifest(folder / "jobs.yaml")
    assert [str(c) for c in complaints] == []
    assert manifest is not None
    return manifest


def _jobs(folder: Path, rows: str | bytes, name: str = "rows.csv", more: str = "") -> list[JobSpec]:
    return list(_manifest(folder, rows, name, more).jobs)


def test_every_column_is_read(tmp_path: Path) -> None:
    (job,) = _jobs(
        tmp_path,
        "id,avatar.public,audio.text,audio.voice,audio.speed,mode,caption,output,priority,tags,"
        'vars.name\na,3327,Hi {name}.,V,1.1,avatar2,C,"o/{id}.mp4",-5,vip; first ;,Anna\n',
    )

    assert (job.avatar, job.audio, job.voice, job.speed) == ("3327", "Hi Anna.", "V", 1.1)
    assert (job.mode, job.caption, job.priority) == (Mode.AVATAR2, "C", -5)
    assert (job.output, job.tags) == (tmp_path / "o" / "a.mp4", ("vip", "first"))


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("id", "id"),
        (" ID ", "id"),
        ("Avatar.Video", "avatar.video"),
        ("avatar_video", "avatar.video"),
        ("Avatar  Video", "avatar.video"),
        ("audio-text-file", "audio.text_file"),
        ("audio.text_file", "audio.text_file"),
        ("Save Avatar", "save_avatar"),
        ("vars.First Name", "vars.first_name"),
        ("vars_city", "vars.city"),
        ("video", None),
        ("avatar", None),
        ("", None),
        ("varsity", None),
    ],
)
def test_a_header_is_taken_forgivingly(header: str, key: str | None) -> None:
    assert column_key(header) == key


def test_no_two_columns_fold_into_one() -> None:
    columns = known_columns()

    assert len(set(columns.values())) == len(columns)
    assert {column_key(key) for key in columns.values()} == set(columns.values())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_spreadsheets_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    lines = [["id", "avatar.public", "audio.text"], ["a", "1", "Hi, you; there"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)

    (job,) = _jobs(tmp_path, text)

    assert delimiter_of(text) == delimiter
    assert (job.job_id, job.avatar, job.audio) == ("a", "1", "Hi, you; there")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_lines_are_fine(
    mark: bytes, end: str, tmp_path: Path
) -> None:
    text = end.join(["id,avatar.public,audio.text", "a,1,Grüße", "", ",,", "b,2,Hi."])

    jobs = _jobs(tmp_path, mark + text.encode())

    assert [(job.job_id, job.audio) for job in jobs] == [("a", "Grüße"), ("b", "Hi.")]


def test_rows_are_placed_where_they_begin(tmp_path: Path) -> None:
    jobs = _jobs(
        tmp_path,
        'id,avatar.public,audio.text\na,1,"one\n\n""two"""\n\nb,2, Hi. \n',
        more="defaults: {audio: {voice: V}}\n",
    )
    file = str(tmp_path / "rows.csv")

    assert [job.audio for job in jobs] == ['one\n\n"two"', "Hi."]
    assert dict(jobs[1].places) == {
        "audio": Place(file=file, line=6, column=3),
        "audio.voice": Place(file=str(tmp_path / "jobs.yaml"), line=4, column=27),
        "": Place(file=file, line=6, column=1),
        "id": Place(file=file, line=6, column=1),
        "avatar": Place(file=file, line=6, column=2),
        "avatar.public": Place(file=file, line=6, column=2),
        "audio.text": Place(file=file, line=6, column=3),
    }


def test_an_empty_cell_is_not_given_and_defaults_apply(tmp_path: Path) -> None:
    jobs = _jobs(
        tmp_path,
        "id,avatar.video,avatar.public,audio.text,mode\na,,1,,\nb,b.mp4,,Hi.,avatar1\n",
        more="defaults: {mode: avatar2, audio: {text: Hello., voice: V}}\n",
    )

    assert [(job.avatar, job.audio, job.mode) for job in jobs] == [
        ("1", "Hello.", Mode.AVATAR2),
        (f"{tmp_path}/b.mp4", "Hi.", Mode.AVATAR1),
    ]


def test_paths_in_rows_start_in_the_folder_of_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()

    (job,) = _jobs(
        tmp_path, "id,avatar.video,audio.file\na,m/a.mp4,../v.wav\n", name="lists/rows.csv"
    )

    assert job.files == (f"{tmp_path}/m/a.mp4", f"{tmp_path}/../v.wav")


def test_a_row_with_a_pattern_makes_a_job_of_each_file(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        (tmp_path / name).touch()

    jobs = _jobs(tmp_path, "id,avatar.video,audio.text,audio.voice\nj-{stem},*.mp4,{stem}!,V\n")

    assert [(job.job_id, job.audio) for job in jobs] == [("j-one", "one!"), ("j-two", "two!")]


def test_several_files_of_rows_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text('{"id": "b", "avatar.public": 1, "audio.text": "Hi."}\n')
    text = "id,avatar.public,audio.text\na,1,Hi.\n"

    (tmp_path / "rows.csv").write_text(text)
    (tmp_path / "jobs.yaml").write_text("version: 1\nbatch: b\nfrom: [more.jsonl, rows.csv]\n")
    manifest, _ = check_manifest(tmp_path / "jobs.yaml")

    assert manifest is not None
    assert [job.job_id for job in manifest.jobs] == ["b", "a"]


def test_a_line_of_json_may_be_nested_or_dotted_or_both(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "avatar": {"public": "1"}, "audio": {"text": "Hi \U0001f600.", "speed": 1.1}},
        {"id": "b", "avatar.public": 3327, "audio_text": "no", "save_avatar": False, "tags": "x;y"},
        {"id": "c", "avatar.public": "1", "audio": {"text": "{who}"}, "audio.voice": None}
        | {"vars": {"who": "Anna"}, "vars.what": "x", "tags": ["{what}"]},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)

    jobs = _jobs(tmp_path, text, "rows.jsonl", "defaults: {audio: {voice: V}}\n")

    assert [(job.avatar, job.audio, job.voice, job.speed, job.tags) for job in jobs] == [
        ("1", "Hi \U0001f600.", "V", 1.1, ()),
        ("3327", "no", "V", 1.0, ("x", "y")),
        ("1", "Anna", None, 1.0, ("x",)),
    ]


def test_a_job_from_json_knows_line_and_column(tmp_path: Path) -> None:
    (job,) = _jobs(
        tmp_path, '\n{"id": "a", "avatar.public": "1", "audio": {"text": "Hi."}}', "rows.jsonl"
    )

    assert {key: (place.line, place.column) for key, place in job.places.items()} == {
        "": (2, 1),
        "id": (2, 8),
        "avatar": (2, 13),
        "avatar.public": (2, 30),
        "audio": (2, 44),
        "audio.text": (2, 53),
    }


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=st.dictionaries(st.text(), _JSON), tight=st.booleans(), ascii_only=st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(
    value: dict[str, Any], tight: bool, ascii_only: bool
) -> None:
    separators = (",", ":") if tight else (" , ", " : ")
    reader = LineReader(json.dumps(value, separators=separators, ensure_ascii=ascii_only), 1, "f")

    node = reader.read()

    assert isinstance(node, Table)
    assert plain_of(node).values == value
    assert reader.doubles == []


@given(text=st.text(alphabet='{}[]",:\\ 1-.etruflasn\n'))
def test_what_is_no_json_is_refused_exactly_when_the_standard_library_refuses_it(text: str) -> None:
    try:
        json.loads(text, parse_constant=_no_constant)
    except ValueError:
        with pytest.raises(NotJson):
            LineReader(text, 1, "f").read()
    else:
        LineReader(text, 1, "f").read()


def _no_constant(name: str) -> None:
    raise ValueError(name)


def test_numbers_and_words_stay_as_they_were_written() -> None:
    node = LineReader('{"a": 1.50, "b": -2e5, "c": true, "d": null, "e": [false, 007]}', 1, "f")

    with pytest.raises(NotJson, match='a "," or "]" is missing here'):
        node.read()
    good = LineReader('{"a": 1.50, "b": -2e5, "c": true, "d": null, "e": [false]}', 3, "f").read()
    assert isinstance(good, Table)
    assert plain_of(good).values == {
        "a": "1.50",
        "b": "-2e5",
        "c": "true",
        "d": None,
        "e": ["false"],
    }
    assert key_spot(good, ("b",)) == (3, 13, "f")


def test_nesting_without_an_end_is_refused() -> None:
    with pytest.raises(NotJson, match="levels"):
        LineReader("[" * 10_000, 1, "f").read()


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"))).filter(
            lambda text: bool(text.strip()) and "\ufeff" not in text
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_a_csv_writer_writes_comes_back(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["id", "avatar.public", "audio.text"])
    doubled = [text.replace("{", "{{").replace("}", "}}") for text in texts]
    writer.writerows([f"j{n}", "1", text] for n, text in enumerate(doubled))

    jobs = _jobs(folder, stream.getvalue())

    assert [job.audio for job in jobs] == [text.strip() for text in texts]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=80), name=st.sampled_from(["fuzz.csv", "fuzz.jsonl"]))
def test_no_file_of_rows_gives_a_traceback(
    data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    head = b"id,avatar.public,audio.text\n" if name.endswith("csv") else b""
    (folder / name).write_bytes(head + data)
    (folder / "fuzz.yaml").write_text(f"version: 1\nbatch: b\nfrom: {name}\n")

    manifest, complaints = check_manifest(folder / "fuzz.yaml")

    assert (manifest is None) == any(not c.warning for c in complaints)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "ID,Audio Text,colour\n1,2,3\n", {"id", "audio.text"}),
        ("a.csv", "", set()),
        ("a.jsonl", '\n{"id": 1, "audio": {"text": "x"}}\n{', {"id", "audio", "audio.text"}),
        ("a.jsonl", "nothing", set()),
        ("a.txt", "id\n1\n", set()),
    ],
)
def test_the_first_row_tells_which_keys_a_file_has(
    name: str, text: str, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)

    assert first_keys(tmp_path / name) == expected
