"""Values survive their way through the text that is stored."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import AudioKind, AvatarKind, JobId, JobSpec, Mode, Place
from orchestrator.store.rows import spec_from_json, spec_to_json

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

specs = st.builds(
    JobSpec,
    job_id=text.map(JobId),
    avatar_kind=st.sampled_from(AvatarKind),
    avatar=text,
    audio_kind=st.sampled_from(AudioKind),
    audio=text,
    output=text.map(lambda name: Path("/out") / name.replace("\0", "")),
    mode=st.sampled_from(Mode),
    voice=st.none() | text,
    speed=st.floats(0.8, 1.2),
    caption=st.none() | text,
    save_avatar=st.booleans(),
    priority=st.integers(-1_000, 1_000),
    tags=st.lists(text, max_size=3).map(tuple),
)


@given(specs)
def test_a_spec_comes_back_as_it_was(spec: JobSpec) -> None:
    assert spec_from_json(spec_to_json(spec)) == spec


def test_places_in_the_manifest_are_not_stored() -> None:
    spec = JobSpec(
        job_id=JobId("job"),
        avatar_kind=AvatarKind.PUBLIC,
        avatar="3327",
        audio_kind=AudioKind.TEXT,
        audio="Hi.",
        output=Path("/out/job.mp4"),
        places={"": Place(file="jobs.yaml", line=3, column=5)},
    )
    assert "jobs.yaml" not in spec_to_json(spec)
    assert spec_from_json(spec_to_json(spec)).places == {}
