"""Rules of KYC: the score and its bounds, what results mean, names, ages, proofs, limits."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import complaints, kyc
from domain.kyc import NameMatch, Result, Step, Tier, Verdict

RESULTS = st.dictionaries(st.sampled_from(Step), st.sampled_from(Result))
WHOLE = st.fixed_dictionaries({step: st.sampled_from(Result) for step in Step})
NAMES = st.lists(st.text("abcdefghij", min_size=2, max_size=8), min_size=1, max_size=4)
PASSED = dict.fromkeys(Step, Result.PASSED)


def test_the_weights_are_the_whole_of_the_score() -> None:
    assert sum(kyc.WEIGHTS.values()) == 100
    assert kyc.risk_score(dict.fromkeys(Step, Result.REJECTED)) == 100
    assert kyc.risk_score({**PASSED, Step.DOCUMENTS: Result.FLAGGED}) == 30


@given(RESULTS)
def test_the_score_stays_in_bounds_and_never_falls_with_a_worse_result(results: dict[Step, Result]) -> None:
    score = kyc.risk_score(results)
    assert 0 <= score <= 100
    for step in Step:
        assert kyc.risk_score({**results, step: Result.REJECTED}) >= score


@given(WHOLE, st.integers(0, 3), st.integers(1, 5))
def test_only_what_is_whole_and_unhit_is_verified(results: dict[Step, Result], hits: int, tries: int) -> None:
    verdict = kyc.judge(results, open_hits=hits, tries=tries)
    bad = {Result.REJECTED, Result.UNFIT} & set(results.values())
    if verdict is Verdict.VERIFY:
        assert not bad
        assert not hits
        assert kyc.risk_score(results) <= 50
    if results[Step.DOCUMENTS] is Result.REJECTED:
        assert verdict is Verdict.REJECT
    elif hits:
        assert verdict is Verdict.REVIEW
    elif kyc.risk_score(results) > 80:
        assert verdict is Verdict.REJECT
    elif kyc.risk_score(results) > 50:
        assert verdict is Verdict.REVIEW


@pytest.mark.parametrize(
    ("flagged", "verdict"),
    [
        ({Step.DOCUMENTS, Step.SANCTIONS}, Verdict.VERIFY),  # 50: not over it
        ({Step.DOCUMENTS, Step.IDENTITY}, Verdict.REVIEW),  # 55
        ({Step.DOCUMENTS, Step.IDENTITY, Step.AML}, Verdict.REVIEW),  # 80: not over it
        (set(Step), Verdict.REJECT),  # 100
    ],
)
def test_the_bounds_of_the_score(flagged: set[Step], verdict: Verdict) -> None:
    results = {step: Result.FLAGGED if step in flagged else Result.PASSED for step in Step}
    assert kyc.judge(results, open_hits=0, tries=1) is verdict


def test_a_refuted_identity_never_passes_although_its_weight_alone_would() -> None:
    results = {**PASSED, Step.IDENTITY: Result.REJECTED}
    assert kyc.risk_score(results) == 25
    assert kyc.judge(results, open_hits=0, tries=1) is Verdict.ASK
    assert kyc.judge(results, open_hits=0, tries=kyc.MOST_TRIES) is Verdict.REVIEW


@given(NAMES, st.randoms(use_true_random=False))
def test_a_name_is_itself_in_any_order_and_case(words: list[str], random: object) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kyc.match_names(" ".join(words), ". ".join(shuffled).upper()) is NameMatch.SAME


@given(NAMES, NAMES)
def test_matching_names_is_symmetric(one: list[str], other: list[str]) -> None:
    first, second = " ".join(one), " ".join(other)
    assert kyc.match_names(first, second) is kyc.match_names(second, first)


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ("Asha Rao", "ASHA  RAO", NameMatch.SAME),
        ("Asha Rao", "Ashá Rao", NameMatch.SAME),
        ("Asha Rao", "Asha Kumari Rao", NameMatch.CLOSE),
        ("A Rao", "Asha Rao", NameMatch.CLOSE),
        ("Asha K. Rao", "Asha Kumari Rao", NameMatch.CLOSE),
        ("Rao", "Asha Rao", NameMatch.OTHER),
        ("Asha Rao", "Ravi Rao", NameMatch.OTHER),
        ("A R", "Asha Rao", NameMatch.OTHER),
        ("Asha Rao", "Someone Else", NameMatch.OTHER),
    ],
)
def test_names(one: str, other: str, match: NameMatch) -> None:
    assert kyc.match_names(one, other) is match


def test_a_verification_of_29_february_ends_on_the_28th() -> None:
    assert kyc.expiry(datetime(2028, 2, 29, 12, tzinfo=UTC)) == datetime(2030, 2, 28, 12, tzinfo=UTC)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_a_verification_holds_two_years(at: datetime) -> None:
    assert timedelta(days=729) <= kyc.expiry(at) - at <= timedelta(days=731)


def test_majority_comes_on_the_birthday() -> None:
    born = date(2008, 11, 23)
    assert kyc.is_adult(born, date(2026, 11, 23))
    assert not kyc.is_adult(born, date(2026, 11, 22))


@pytest.mark.parametrize(
    ("issued", "fresh"),
    [
        (date(2026, 5, 24), True),
        (date(2026, 5, 23), False),
        (date(2026, 11, 23), True),
        (date(2026, 11, 24), False),
    ],
)
def test_a_proof_is_under_six_months_old(issued: date, fresh: bool) -> None:
    assert kyc.is_fresh(issued, date(2026, 11, 23), 6) is fresh


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)), st.dates(date(2020, 1, 1), date(2030, 12, 31)))
def test_a_stale_proof_never_becomes_fresh(issued: date, on: date) -> None:
    if on >= issued and not kyc.is_fresh(issued, on, 3):
        assert not kyc.is_fresh(issued, on + timedelta(days=1), 3)


def test_proofs() -> None:
    on, good = date(2026, 11, 23), b"%PDF-1.7"
    judge = lambda found: kyc.judge_proof(found, months=6, on=on, name="address_proof")  # noqa: E731
    assert judge([]) == (Result.UNFIT, ["address_proof_missing"])
    assert judge([(on, b"words")]) == (Result.UNFIT, ["address_proof_unreadable"])
    assert judge([(None, good)]) == (Result.UNFIT, ["address_proof_undated"])
    assert judge([(date(2026, 1, 1), good)]) == (Result.REJECTED, ["address_proof_too_old"])
    assert judge([(date(2026, 1, 1), good), (on, good)]) == (Result.PASSED, [])


def test_limits_rise_with_the_tier_and_are_dated() -> None:
    on = date(2026, 11, 23)
    basic, middle = kyc.limits_of(Tier.BASIC, on), kyc.limits_of(Tier.INTERMEDIATE, on)
    assert (basic.single, basic.daily, basic.monthly) == (50_000_00, 2_00_000_00, 10_00_000_00)
    assert (middle.single, middle.daily, middle.monthly) == (5_00_000_00, 5_00_000_00, 10_00_000_00)
    assert kyc.limits_of(Tier.ADVANCED, on).single is None
    with pytest.raises(ValueError, match="no limits"):
        kyc.limits_of(Tier.BASIC, date(2025, 12, 31))


@pytest.mark.parametrize(
    ("programme", "sanction"),
    [("SANCTIONS-FICTIONAL", True), ("PEP-FICTIONAL", False), ("adverse media", False), ("UNSC 1267", True)],
)
def test_what_is_not_known_to_be_less_is_a_sanction(programme: str, sanction: bool) -> None:
    assert kyc.is_sanction(programme) is sanction


def test_a_complaint_is_due_in_21_days() -> None:
    made = datetime(2026, 11, 23, tzinfo=UTC)
    assert complaints.due(made) == datetime(2026, 12, 14, tzinfo=UTC)
