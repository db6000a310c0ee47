"""Places of many jobs in little room, and places as numbers."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.manifest.nodes import Spot, place_of
from orchestrator.manifest.places import MAX_SHAPES, Packer, SpotNumbers
from orchestrator.model import Place

_NUMBERS = st.integers(min_value=1, max_value=2**32 - 1)
_SPOTS: st.SearchStrategy[Spot] = st.tuples(_NUMBERS, _NUMBERS) | st.tuples(
    _NUMBERS, _NUMBERS, st.sampled_from(["rows.csv", "more.jsonl"])
)


def test_places_are_made_from_spots() -> None:
    places = Packer("jobs.yaml").places({"": (3, 5), "id": (3, 9), "mode": (17, 2, "rows.csv")})

    assert dict(places) == {
        "": Place(file="jobs.yaml", line=3, column=5),
        "id": Place(file="jobs.yaml", line=3, column=9),
        "mode": Place(file="rows.csv", line=17, column=2),
    }
    assert (len(places), places.get("audio")) == (3, None)
    with pytest.raises(KeyError):
        places["audio"]


@given(jobs=st.lists(st.dictionaries(st.sampled_from(["", "id", "mode", "tags.0"]), _SPOTS)))
def test_packing_loses_nothing(jobs: list[dict[str, Spot]]) -> None:
    packer = Packer("jobs.yaml")

    packed = [packer.places(spots) for spots in jobs]

    assert [dict(places) for places in packed] == [
        {key: place_of(spot, "jobs.yaml") for key, spot in spots.items()} for spots in jobs
    ]


@given(spots=st.lists(_SPOTS))
def test_a_spot_becomes_a_number_and_back(spots: list[Spot]) -> None:
    numbers = SpotNumbers()

    assert [numbers.spot(n) for n in [numbers.number(spot) for spot in spots]] == spots


def test_jobs_of_many_shapes_keep_their_own() -> None:
    packer = Packer("jobs.yaml")

    packed = [packer.places({f"tags.{n}": (n + 1, 1)}) for n in range(MAX_SHAPES + 10)]

    assert dict(packed[-1]) == {
        f"tags.{MAX_SHAPES + 9}": Place(file="jobs.yaml", line=MAX_SHAPES + 10, column=1)
    }


def test_the_places_of_a_job_take_less_than_200_bytes() -> None:
    keys = ["", "id", "avatar", "avatar.video", "audio", "audio.text", "tags", "tags.0", "mode"]
    packer = Packer("jobs.yaml")
    packer.places(dict.fromkeys(keys, (1, 1)))
    tracemalloc.start()
    try:
        kept = [packer.places(dict.fromkeys(keys, (n + 400, 7))) for n in range(1000)]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert used / len(kept) < 200
