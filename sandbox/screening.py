"""Watchlist screening: sanctions, PEP and adverse media names with aliases in several scripts, by version."""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any

from rapidfuzz import fuzz
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS screening_lists (
  one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL, published_at TEXT NOT NULL,
  entries TEXT NOT NULL
);
"""

THRESHOLD = 80
"""Least score, of 100, that is a hit."""

DATE_AGREES, DATE_DIFFERS = 5, -10

DEFAULT_VERSION = "fictional-1"
DEFAULT_PUBLISHED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Entry:
    """One listed person; a date of birth may be a year alone."""

    entry_id: str
    name: str
    aliases: tuple[str, ...]
    programme: str
    date_of_birth: str | None


# Nobody: names out of no list, so that a sandbox never accuses a real person.
DEFAULT_ENTRIES = (
    Entry(
        "fic-1",
        "Zorvan Maldrake",
        ("Zorwan Maldrek", "ज़ोरवान माल्ड्रेक", "زوروان مالدريك", "Зорван Малдрейк"),
        "SANCTIONS-FICTIONAL",
        "1961-03-14",
    ),
    Entry(
        "fic-2",
        "Quintessa Vorblatt",
        ("Kvintessa Worblat", "क्विंटेसा वोरब्लाट", "كوينتيسا فوربلات"),
        "PEP-FICTIONAL",
        "1974",
    ),
    Entry("fic-3", "Ombrello Tazzafumo", ("Ombrelo Tasafumo", "ओम्ब्रेलो टाज़ाफ़ुमो"), "ADVERSE-FICTIONAL", None),
)


def normal(name: str) -> str:
    """Words of a name in a form that two spellings of one script share.

    Compatibility forms, case, accents, Arabic vowel marks and tatweel, nukta and virama do not count.
    """
    marked = unicodedata.normalize("NFKD", name).casefold().replace("\u0640", "")
    plain = "".join(letter for letter in marked if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[^\w\s\u0900-\u0d7f]", " ", plain).split())


def name_score(asked: str, listed: str) -> float:
    """Likeness of two names in one script, 0 to 100; the order of words does not count.

    A name within a longer one (a middle name left out) scores 95 at most, and only with two words in
    common: a shared surname alone is no hit.
    """
    one, other = normal(asked), normal(listed)
    score = fuzz.token_sort_ratio(one, other)
    if len(set(one.split()) & set(other.split())) >= 2:
        score = max(score, 0.95 * fuzz.token_set_ratio(one, other))
    return score


def hit(entry: Entry, name: str, born: str | None) -> dict[str, Any] | None:
    """The entry's best match for this name, or None under the threshold."""
    score, alias = max((name_score(name, alias), alias) for alias in (entry.name, *entry.aliases))
    if born and entry.date_of_birth:
        score += DATE_AGREES if born.startswith(entry.date_of_birth) else DATE_DIFFERS
    if score < THRESHOLD:
        return None
    return {
        "entry_id": entry.entry_id,
        "name": entry.name,
        "matched_alias": alias,
        "score": min(round(score), 100),
        "programme": entry.programme,
        "date_of_birth": entry.date_of_birth,
    }


def error(status: int, request: Request) -> JSONResponse:
    """A planted 5xx or 429 in this provider's shape."""
    response = JSONResponse({"error": "rate_limited" if status == 429 else "internal_error"}, status)
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


def current(world: World) -> tuple[str, str, tuple[Entry, ...]]:
    """Version, time of publication and entries of the list in force."""
    row = world.db.execute("SELECT * FROM screening_lists").fetchone()
    if row is None:
        return DEFAULT_VERSION, DEFAULT_PUBLISHED, DEFAULT_ENTRIES
    entries = (Entry(**{**item, "aliases": tuple(item["aliases"])}) for item in json.loads(row["entries"]))
    return row["version"], row["published_at"], tuple(entries)


def routes(world: World) -> list[BaseRoute]:
    """`POST /screening/search {name, date_of_birth?}` and `GET /screening/list`."""

    async def search(request: Request) -> JSONResponse:
        try:
            body = await request.json()
            name = body["name"].strip()
            born = (
                date.fromisoformat(body["date_of_birth"]).isoformat() if body.get("date_of_birth") else None
            )
            if not normal(name):
                raise ValueError("no letter in the name")
        except (ValueError, KeyError, TypeError, AttributeError):
            return JSONResponse({"error": "malformed_search"}, 422)
        version, _, entries = current(world)
        hits = [found for entry in entries if (found := hit(entry, name, born))]
        hits.sort(key=lambda found: (-found["score"], found["entry_id"]))
        search_id = world.new_id("scr_")
        request.state.effect = {"search_id": search_id}
        return JSONResponse({"search_id": search_id, "list_version": version, "hits": hits})

    async def about(request: Request) -> JSONResponse:
        version, published_at, entries = current(world)
        return JSONResponse({"list_version": version, "published_at": published_at, "entries": len(entries)})

    return [
        Route("/screening/search", search, methods=["POST"]),
        Route("/screening/list", about, methods=["GET"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """`POST /_control/screening/list {entries:[{name, aliases, date_of_birth?, programme}], version}`."""

    async def replace(request: Request) -> JSONResponse:
        body = await fields(request)
        version, given = str(body.get("version") or ""), body.get("entries")
        if not version or not isinstance(given, list):
            raise ControlError("`version` or `entries` is missing")
        entries = [_entry(n, item, version) for n, item in enumerate(given, 1)]
        published = world.now(request).isoformat().replace("+00:00", "Z")
        world.db.execute(
            "INSERT OR REPLACE INTO screening_lists VALUES (1, ?, ?, ?)",
            (version, published, json.dumps([vars(entry) for entry in entries], ensure_ascii=False)),
        )
        return JSONResponse({"list_version": version, "entries": len(entries)})

    return [Route("/_control/screening/list", replace, methods=["POST"])]


def _entry(n: int, item: Any, version: str) -> Entry:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"].strip():
        raise ControlError("an entry has no name")
    aliases = item.get("aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise ControlError("`aliases` is a list of names")
    return Entry(
        entry_id=str(item.get("entry_id") or f"{version}-{n}"),
        name=item["name"],
        aliases=tuple(aliases),
        programme=str(item.get("programme") or "sanctions"),
        date_of_birth=str(item["date_of_birth"]) if item.get("date_of_birth") else None,
    )
