"""The ledger: postings are added and read, nothing else; Postgres refuses what does not balance."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from domain.ledger import Entry
from models.contracts.identifiers import Prefix, mint
from store.database import Connection

LAST_LINE = 2**31 - 1
"""The largest number that a line may have."""


async def post(connection: Connection, entry: Entry, now: datetime) -> str:
    """Posts an entry and gives its id; a repeat under the same business key gives the first one's.

    An entry of a day in a closed period is dated on the first open day after it. The balance is checked by
    the database when the transaction commits.
    """
    entry_id = mint(Prefix.JOURNAL)
    cursor = await connection.execute(
        """INSERT INTO finance.journal_entries (entry_id, business_key, date, refs, made_at)
           VALUES (%s, %s, finance.open_day(%s), %s, %s)
           ON CONFLICT (business_key) DO NOTHING RETURNING entry_id""",
        (entry_id, entry.business_key, entry.date, list(entry.references), now),
    )
    if await cursor.fetchone() is None:
        cursor = await connection.execute(
            "SELECT entry_id FROM finance.journal_entries WHERE business_key = %s", (entry.business_key,)
        )
        row = await cursor.fetchone()
        return row["entry_id"] if row else entry_id
    lines = entry.lines
    await connection.execute(
        """INSERT INTO finance.journal_lines (entry_id, number, account, debit, credit)
           SELECT %s, * FROM unnest(%s::integer[], %s::text[], %s::bigint[], %s::bigint[])""",
        (
            entry_id,
            list(range(1, len(lines) + 1)),
            [line.account.value for line in lines],
            [line.debit for line in lines],
            [line.credit for line in lines],
        ),
    )
    return entry_id


@dataclass(frozen=True)
class Balance:
    """Turnover of one account: sums of both sides, in paise."""

    account: str
    debit: int
    credit: int


async def trial_balance(connection: Connection, until: date | None = None) -> list[Balance]:
    """Every account of the chart up to and including a business day; both sides add up to the same."""
    cursor = await connection.execute(
        """SELECT a.account, coalesce(sum(l.debit), 0)::bigint AS debit,
                  coalesce(sum(l.credit), 0)::bigint AS credit
           FROM finance.accounts a
           LEFT JOIN (finance.journal_lines l JOIN finance.journal_entries e USING (entry_id))
               ON l.account = a.account AND (%(until)s::date IS NULL OR e.date <= %(until)s::date)
           GROUP BY a.account ORDER BY a.account""",
        {"until": until},
    )
    return [Balance(row["account"], row["debit"], row["credit"]) for row in await cursor.fetchall()]


async def statement(
    connection: Connection,
    *,
    account: str | None,
    reference: str | None,
    after: str | None,
    start: date | None,
    end: date | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Lines of the book, newest business day first, of one account or reference, from `start` to the day
    before `end`; `after` is the `line_id` of the last one shown."""
    day, entry, number = _place(after)
    cursor = await connection.execute(
        """SELECT e.date || '/' || e.entry_id || '/' || l.number AS line_id, e.entry_id, l.number,
                  e.business_key, e.date, e.made_at, e.refs AS references, l.account, l.debit, l.credit
           FROM finance.journal_lines l JOIN finance.journal_entries e USING (entry_id)
           WHERE (%(account)s::text IS NULL OR l.account = %(account)s)
             AND (%(reference)s::text IS NULL OR e.refs @> ARRAY[%(reference)s::text])
             AND (%(day)s::date IS NULL
                  OR (e.date, e.entry_id, l.number) < (%(day)s::date, %(entry)s::text, %(number)s::integer))
             AND (%(start)s::date IS NULL OR e.date >= %(start)s)
             AND (%(end)s::date IS NULL OR e.date < %(end)s)
           ORDER BY e.date DESC, e.entry_id DESC, l.number DESC LIMIT %(limit)s""",
        {
            "account": account,
            "reference": reference,
            "day": day,
            "entry": entry,
            "number": number,
            "start": start,
            "end": end,
            "limit": limit,
        },
    )
    return await cursor.fetchall()


@dataclass(frozen=True)
class Balances:
    """Of one account, debit less credit, in paise: before the first day, after the last, before a line."""

    opening: int
    closing: int
    before: int


async def balances(
    connection: Connection, account: str, *, start: date | None, end: date | None, before: str | None
) -> Balances:
    """Of an account from `start` to the day before `end`; `before` is a `line_id` (None: the opening)."""
    day, entry, number = _place(before)
    cursor = await connection.execute(
        """SELECT coalesce(sum(amount) FILTER (WHERE date < %(start)s), 0)::bigint AS opening,
                  coalesce(sum(amount) FILTER (WHERE %(end)s::date IS NULL OR date < %(end)s), 0)::bigint
                      AS closing,
                  coalesce(sum(amount) FILTER (WHERE (date, entry_id, number)
                      < (%(day)s::date, %(entry)s::text, %(number)s::integer)), 0)::bigint AS before
           FROM (SELECT e.date, e.entry_id, l.number, l.debit - l.credit AS amount
                 FROM finance.journal_lines l JOIN finance.journal_entries e USING (entry_id)
                 WHERE l.account = %(account)s) lines""",
        {"account": account, "start": start, "end": end, "day": day, "entry": entry, "number": number},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(account)
    return Balances(row["opening"], row["closing"], row["before"] if before else row["opening"])


def _place(line_id: str | None) -> tuple[date | None, str, int]:
    """What a line is sorted by; the text of a cursor that is none of ours stands for the start."""
    day, _, rest = (line_id or "").partition("/")
    entry, _, number = rest.partition("/")
    try:
        return date.fromisoformat(day), entry, max(min(int(number), LAST_LINE), 0)
    except ValueError:
        return None, "", 0


async def has_account(connection: Connection, account: str) -> bool:
    cursor = await connection.execute("SELECT FROM finance.accounts WHERE account = %s", (account,))
    return await cursor.fetchone() is not None


async def posted(connection: Connection, business_key: str) -> bool:
    cursor = await connection.execute(
        "SELECT FROM finance.journal_entries WHERE business_key = %s", (business_key,)
    )
    return await cursor.fetchone() is not None
