"""A manifest's ids against the vendor's lists: which are complained about, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogues.ids import (
    AVATARS,
    CAPTIONS,
    OWN_AVATARS,
    OWN_VOICES,
    VOICES,
    Lists,
    complaints_about,
    needed,
    uses_of,
)
from orchestrator.model import AudioKind, AvatarKind, Complaint, JobId, JobSpec, Place
from orchestrator.topview.catalog import Avatar, Caption, Voice

ANA = Avatar(id="3327", name="Sample Ana", voice="VoiceOfAna000000000000000000001")
MUTE = Avatar(id="3400", name="Carla")
OWN = Avatar(id="9002", name="My avatar", private=True)
EVA = Voice(id="ExampleVoice0000000000000000Abcd", name="Eva")
ALL = {
    AVATARS: (ANA, MUTE),
    OWN_AVATARS: (OWN,),
    VOICES: (EVA,),
    OWN_VOICES: (),
    CAPTIONS: (Caption(id="cap-sample-1"),),
}
SURE = frozenset(ALL)


def place(line: int) -> Place:
    return Place(file="jobs.yaml", line=line, column=3)


def job(kind: AvatarKind, avatar: str, line: int = 1, **more: Any) -> JobSpec:
    fixed: dict[str, Any] = {
        "audio_kind": AudioKind.TEXT,
        "audio": "Hello.",
        "voice": EVA.id,
        "places": {
            "": place(line),
            "avatar": place(line + 1),
            f"avatar.{kind}": place(line + 1),
            "audio.voice": place(line + 2),
            "caption": place(line + 3),
        },
    }
    return JobSpec(
        job_id=JobId("j"),
        avatar_kind=kind,
        avatar=avatar,
        output=Path("/o/j.mp4"),
        **{**fixed, **more},
    )


def found(*jobs: JobSpec, sure: frozenset[str] = SURE) -> list[Complaint]:
    return complaints_about(uses_of(jobs), Lists(items=ALL, sure=sure))


def only(*jobs: JobSpec, sure: frozenset[str] = SURE) -> Complaint:
    complaints = found(*jobs, sure=sure)
    assert len(complaints) == 1, complaints
    return complaints[0]


def test_ids_that_the_lists_show_are_no_complaint() -> None:
    public = job(AvatarKind.PUBLIC, ANA.id, caption="cap-sample-1")
    assert found(public, job(AvatarKind.PRIVATE, OWN.id)) == []


def test_an_unknown_public_avatar_is_an_error_at_its_place() -> None:
    assert only(job(AvatarKind.PUBLIC, "3372", line=7)) == Complaint(
        place=place(8),
        problem='avatar.public is "3372", which is not among the public avatars (2)',
        remedy='did you mean "3327" (Sample Ana)? List them with: orchestrator avatars',
    )


def test_an_id_like_no_other_has_no_near_miss() -> None:
    complaint = only(job(AvatarKind.PUBLIC, "abcdef"))
    assert complaint.remedy == "list them with: orchestrator avatars"


def test_a_name_in_the_place_of_an_id_is_recognised() -> None:
    complaint = only(job(AvatarKind.PUBLIC, "sample ana"))
    assert complaint.remedy.startswith('that is a name; did you mean "3327" (Sample Ana)?')


def test_an_unknown_private_avatar_is_a_warning() -> None:
    """A saved avatar may appear in the list later than its video is done."""
    complaint = only(job(AvatarKind.PRIVATE, "9003"))
    assert complaint.warning
    assert '"9002" (My avatar)' in complaint.remedy


def test_a_public_id_under_private_is_recognised() -> None:
    assert 'write "public" instead' in only(job(AvatarKind.PRIVATE, ANA.id)).remedy


def test_a_private_id_under_public_is_recognised() -> None:
    complaint = only(job(AvatarKind.PUBLIC, OWN.id))
    assert 'write "private" instead' in complaint.remedy
    assert not complaint.warning


def test_an_unknown_voice_is_an_error_with_what_is_spelled_almost_so() -> None:
    complaint = only(job(AvatarKind.PUBLIC, ANA.id, voice="ExampleVoice0000000000000000Abce"))
    assert complaint.place == place(3)
    assert not complaint.warning
    assert f'did you mean "{EVA.id}" (Eva)?' in complaint.remedy


def test_the_case_of_an_id_matters_and_is_recognised() -> None:
    complaint = only(job(AvatarKind.PUBLIC, ANA.id, voice=EVA.id.lower()))
    assert f'did you mean "{EVA.id}" (Eva)?' in complaint.remedy


def test_a_random_long_id_is_not_taken_for_a_slip() -> None:
    complaint = only(job(AvatarKind.PUBLIC, ANA.id, voice="0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
    assert complaint.remedy == "list them with: orchestrator voices"


def test_a_voice_of_the_account_is_known_too() -> None:
    lists = Lists(items={**ALL, OWN_VOICES: (Voice(id="Mine", name=""),)}, sure=SURE)
    assert complaints_about(uses_of([job(AvatarKind.PUBLIC, ANA.id, voice="Mine")]), lists) == []


def test_an_unknown_caption_is_an_error() -> None:
    complaint = only(job(AvatarKind.PUBLIC, ANA.id, caption="cap-sample-9"))
    assert complaint.place == place(4)
    assert 'did you mean "cap-sample-1"?' in complaint.remedy


@pytest.mark.parametrize("missing", [AVATARS, VOICES])
def test_a_list_that_may_not_tell_all_makes_warnings(missing: str) -> None:
    wrong = job(AvatarKind.PUBLIC, "1", voice="2")
    levels = {c.problem.split()[0]: c.warning for c in found(wrong, sure=SURE - {missing})}
    assert levels == {"avatar.public": missing == AVATARS, "audio.voice": missing == VOICES}


def test_the_voice_of_a_sound_file_does_not_matter() -> None:
    sound = job(AvatarKind.PUBLIC, ANA.id, audio_kind=AudioKind.FILE, audio="/a.wav", voice="no")
    assert found(sound) == []


def test_one_place_that_many_jobs_share_is_one_complaint() -> None:
    """A default stands for every job under it."""
    assert len(found(*[job(AvatarKind.PUBLIC, "1") for _ in range(500)])) == 1


def test_one_id_at_several_places_is_a_complaint_at_each_in_order() -> None:
    complaints = found(job(AvatarKind.PUBLIC, "1", line=40), job(AvatarKind.PUBLIC, "1", line=5))
    assert [c.place.line for c in complaints] == [6, 41]


def test_a_key_without_a_place_of_its_own_is_told_at_the_nearest_one() -> None:
    bare = job(AvatarKind.PUBLIC, "1", places={"": place(2), "avatar": place(9)})
    assert only(bare).place == place(9)
    nameless = job(AvatarKind.PUBLIC, "1", places={})
    assert only(nameless).place.file == "job j"


def test_an_avatar_without_a_voice_of_its_own_needs_one_for_text() -> None:
    complaint = only(job(AvatarKind.PUBLIC, MUTE.id, voice=None))
    assert complaint.warning
    assert complaint.problem.startswith('"3400" (Carla) has no voice of its own')
    assert found(job(AvatarKind.PUBLIC, ANA.id, voice=None)) == []


def test_only_lists_that_are_needed_are_asked_for() -> None:
    image = job(AvatarKind.IMAGE, "/a.png", audio_kind=AudioKind.FILE, audio="/a.wav", voice=None)
    assert needed(uses_of([image]), {}) is None
    public = uses_of([job(AvatarKind.PUBLIC, ANA.id)])
    assert needed(public, {}) == AVATARS
    assert needed(public, {AVATARS: (ANA,)}) == VOICES
    assert needed(public, {AVATARS: (ANA,), VOICES: (EVA,)}) is None


def test_neighbouring_lists_are_asked_for_once_an_id_was_not_found() -> None:
    wrong = uses_of([job(AvatarKind.PUBLIC, "1", voice="2")])
    lists: dict[str, Any] = {}
    asked = []
    while (name := needed(wrong, lists)) is not None:
        asked.append(name)
        lists[name] = ALL[name]
    assert asked == [AVATARS, OWN_AVATARS, VOICES, OWN_VOICES]
