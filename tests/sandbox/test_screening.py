"""Screening: who is found, in which script, and what a new list changes."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.screening import HttpScreening
from sandbox.screening import DEFAULT_ENTRIES, THRESHOLD, Entry, hit, name_score, normal
from tests.sandbox.conftest import Sandbox

ZORVAN = DEFAULT_ENTRIES[0]
WORDS = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=2, max_size=10)


@pytest.mark.parametrize(
    ("asked", "alias"),
    [
        ("Zorvan Maldrake", "Zorvan Maldrake"),
        ("MALDRAKE, Zorván", "Zorvan Maldrake"),
        ("Zorvan Maldrak", "Zorvan Maldrake"),
        ("Zorwan Maldrek", "Zorwan Maldrek"),
        ("ज़ोरवान माल्ड्रेक", "ज़ोरवान माल्ड्रेक"),
        ("जोरवान माल्ड्रेक", "ज़ोरवान माल्ड्रेक"),
        ("زُورْوَان مالدريك", "زوروان مالدريك"),
        ("زوروان مـالـدريك", "زوروان مالدريك"),
        ("ЗОРВАН МАЛДРЕЙК", "Зорван Малдрейк"),
    ],
)
def test_aliases_are_found_in_every_script(asked: str, alias: str) -> None:
    found = hit(ZORVAN, asked, None)
    assert found is not None
    assert found["matched_alias"] == alias
    assert found["name"] == "Zorvan Maldrake"


@pytest.mark.parametrize("asked", ["Asha Rao", "Rohan Mehta", "आशा राव", "عائشة", "Maldrake", "Zorvan", "Z"])
def test_others_and_shared_surnames_are_not(asked: str) -> None:
    assert [hit(entry, asked, None) for entry in DEFAULT_ENTRIES] == [None, None, None]


def test_a_middle_name_left_out_is_found_but_is_not_certain() -> None:
    listed = Entry("e", "Zorvan Bartholomew Maldrake", (), "X", None)
    found = hit(listed, "Zorvan Maldrake", None)
    assert found is not None
    assert found["score"] == 95


@pytest.mark.parametrize(
    ("born", "listed", "moved"),
    [
        (None, "1961-03-14", 0),
        ("1961-03-14", None, 0),
        ("1961-03-14", "1961-03-14", 5),
        ("1961-12-31", "1961", 5),
        ("1999-01-01", "1961", -10),
    ],
)
def test_a_birth_date_moves_the_score(born: str | None, listed: str | None, moved: int) -> None:
    bare = hit(Entry("e", "Zorvan Maldrake", (), "X", None), "Zorvan Maldrak", None)
    found = hit(Entry("e", "Zorvan Maldrake", (), "X", listed), "Zorvan Maldrak", born)
    assert bare is not None
    assert found is not None
    assert found["score"] == min(bare["score"] + moved, 100)


def test_another_birth_date_clears_a_faint_likeness() -> None:
    listed = Entry("e", "Zorvan Maldrake", (), "X", "1961")
    assert hit(listed, "Zorwan Maldrike", None) is not None
    assert hit(listed, "Zorwan Maldrike", "1999-01-01") is None


@given(st.lists(WORDS, min_size=1, max_size=4), st.randoms())
def test_order_and_case_of_words_never_matter(words: list[str], random: Any) -> None:
    if not normal(" ".join(words)):
        return
    shuffled = random.sample(words, len(words))
    assert name_score(" ".join(words), " ".join(shuffled)) == pytest.approx(100)


@given(WORDS, WORDS)
def test_scores_are_bounded_and_symmetric(one: str, other: str) -> None:
    score = name_score(one, other)
    assert 0 <= score <= 100
    assert score == pytest.approx(name_score(other, one))


async def test_a_new_list_has_a_new_version_and_other_hits(clean: Sandbox) -> None:
    async with httpx.AsyncClient() as client:
        screening = HttpScreening(client, f"{clean.base_url}/screening")
        before = await screening.search("Ravi Kumawat", None)
        assert before.hits == []
        first = await screening.current_list()
        assert first.list_version == before.list_version
        listed = {"name": "Ravi Kumawat", "aliases": ["रवि कुमावत", "رافي"], "programme": "UN-TEST"}
        body = {"entries": [listed | {"date_of_birth": "1970-05-05"}], "version": "v2"}
        clean.control("POST", "/screening/list", body)
        assert (await screening.current_list()).list_version == "v2"
        after = await screening.search("रवि कुमावत", None)
        assert after.list_version == "v2"
        assert [(found.name, found.score, found.programme) for found in after.hits] == [
            ("Ravi Kumawat", 100, "UN-TEST")
        ]
        assert (await screening.search("Zorvan Maldrake", None)).hits == []  # the list was replaced
    assert {"search_id": after.search_id} in clean.effects("screening")


async def test_hits_come_best_first(clean: Sandbox) -> None:
    entries = [{"name": "Zorvan Maldrike"}, {"name": "Zorvan Maldrake"}, {"name": "Zorvan Q Maldrake"}]
    clean.control("POST", "/screening/list", {"entries": entries, "version": "v3"})
    async with httpx.AsyncClient() as client:
        answer = await HttpScreening(client, f"{clean.base_url}/screening").search("Zorvan Maldrake", None)
    scores = [found.score for found in answer.hits]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100
    assert min(scores) >= THRESHOLD
    assert len({found.entry_id for found in answer.hits}) == 3


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": 7}, {"name": "..."}, {"name": "A", "date_of_birth": "x"}, []]
)
def test_a_malformed_search_is_refused(clean: Sandbox, body: Any) -> None:
    assert clean.http.post("/screening/search", json=body).status_code == 422


@pytest.mark.parametrize(
    "body",
    [{}, {"version": "v"}, {"version": "v", "entries": [{}]}, {"version": "v", "entries": [{"name": 1}]}],
)
def test_a_malformed_list_is_refused_and_changes_nothing(clean: Sandbox, body: Any) -> None:
    headers = {"X-Sandbox-Control": "1"}
    before = clean.http.get("/screening/list").json()
    assert clean.http.post("/_control/screening/list", json=body, headers=headers).status_code == 422
    assert clean.http.get("/screening/list").json() == before
