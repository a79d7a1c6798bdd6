"""Points that the campaign's journeys do not pass, each with the test that injects its fault instead."""

ELSEWHERE: dict[str, str] = {}
