"""The house's first course: written here in full, published once, never changed by a later seed."""

from datetime import UTC, date, datetime

from domain.progression import LessonType, QuestionKind
from domain.syllabus import (
    AssessmentDraft,
    ChoiceDraft,
    CourseDraft,
    LessonDraft,
    ModuleDraft,
    QuestionDraft,
    SyllabusDraft,
)
from models.contracts.identifiers import Prefix, mint
from store import education_courses, education_edits
from store.database import Connection

SLUG = "trading-foundations"
EDIT_ID = "seed:trading-foundations:1"
PUBLISHER = "seed"

WELCOME = """
Markets are a place where people who disagree about a price meet. Nobody in this course will tell you what
to buy: it is education, not advice, and prices shown in it are at least three months old.

You will learn how an order becomes a trade on an Indian exchange, what each order type promises and what
it does not, what a trade costs, and how to decide how much to risk *before* you decide what to buy.
"""

ORDERS = """
**Market order.** Fills at once against the best prices on the other side. It promises a fill, not a price.
In a thin book it can walk through many levels; exchanges and brokers now ask for *market protection*, a
band beyond which the rest of the order does not fill.

**Limit order.** Fills at your price or a better one. It promises a price, not a fill. An unfilled DAY order
lapses at the close; an IOC order cancels at once whatever did not fill.

**Stop-loss (SL, SL-M).** Sleeps until the trigger price trades, then becomes a limit (SL) or a market
(SL-M) order. It limits a loss in an orderly market. It does not help across a gap: if a share closes at
250 and opens at 220, a stop at 240 sells near 220.

Prices move in *ticks*; derivatives trade in *lots*; an order above the *freeze quantity* is refused and has
to be sliced. A price outside the day's *price band* is refused by the exchange.
"""

COSTS = """
A delivery trade of ₹1,00,000 pays, besides the broker's fee: securities transaction tax on both legs,
exchange transaction charges, the SEBI turnover fee, stamp duty on the buy leg, and GST of 18% on brokerage
and on the transaction charges. None is large; a strategy that trades often pays all of them, every time.

Write the costs of a round trip as a percentage of the position. A strategy whose average gain is smaller
than that number loses money however often it is right.
"""

SIZING = """
Decide the loss first. With capital C, a risk of r per trade, an entry E and a stop S, the quantity is

    quantity = C × r / |E − S|, rounded down to a whole lot.

With ₹4,00,000 of capital, 1% at risk, an entry at ₹200 and a stop at ₹192, the loss you accept is ₹4,000 and
each share risks ₹8: 500 shares. The position is worth ₹1,00,000, but the *risk* is ₹4,000.

The *risk-reward ratio* is the distance to the target over the distance to the stop. At 2, you may be wrong
six times in ten and still gain, before costs. A loss needs a larger gain to be made good: after −20% it takes
+25%; the deeper the loss, the faster this grows.
"""

DRAWDOWN = """
On 23 March 2020 the NIFTY 50 closed at 7,610.25, 12.98% below the day before, its largest fall in one day.
Trading had been halted for 45 minutes after the first 10% by the market-wide circuit breaker. Whoever had
sized positions by their stop was sold out below it: the stop is a plan, not a guarantee.

A *drawdown* is the fall from the highest value your account has had. Choose the drawdown at which you stop
trading and look for the error, and write it down before the first trade.
"""

REVIEW = """
Keep a journal: date, instrument, reason, entry, stop, target, size, cost, outcome, and what you would do
again. After thirty trades the journal knows more about your trading than any indicator.

The assessment that follows asks for the definitions and for two calculations. You may try again at once if
you fail the first time; after that there is a day of rest between attempts.
"""

QUESTIONS = [
    QuestionDraft(
        kind=QuestionKind.SINGLE,
        text="Which order promises a price but not a fill?",
        choices=[
            ChoiceDraft(choice_id="a", text="Market"),
            ChoiceDraft(choice_id="b", text="Limit"),
            ChoiceDraft(choice_id="c", text="SL-M"),
        ],
        key="b",
    ),
    QuestionDraft(
        kind=QuestionKind.SINGLE,
        text="A share closes at ₹250 and opens the next day at ₹220. An SL-M sell order has its trigger at "
        "₹240. Near which price does it sell?",
        choices=[
            ChoiceDraft(choice_id="a", text="₹240"),
            ChoiceDraft(choice_id="b", text="₹250"),
            ChoiceDraft(choice_id="c", text="₹220"),
            ChoiceDraft(choice_id="d", text="It does not sell"),
        ],
        key="c",
    ),
    QuestionDraft(
        kind=QuestionKind.MULTIPLE,
        text="Which of these are paid on a delivery trade besides the broker's fee?",
        choices=[
            ChoiceDraft(choice_id="a", text="Securities transaction tax"),
            ChoiceDraft(choice_id="b", text="Stamp duty on the buy leg"),
            ChoiceDraft(choice_id="c", text="Tax on a gain that is not realised"),
            ChoiceDraft(choice_id="d", text="Exchange transaction charges"),
        ],
        key=["a", "b", "d"],
    ),
    QuestionDraft(
        kind=QuestionKind.NUMERIC,
        text="Capital ₹5,00,000, risk 1% a trade, entry ₹250, stop ₹240. How many shares?",
        key="500",
        points=2,
    ),
    QuestionDraft(
        kind=QuestionKind.NUMERIC,
        text="Entry ₹100, stop ₹95, target ₹115. What is the risk-reward ratio?",
        key="3",
        tolerance="0.01",
    ),
    QuestionDraft(
        kind=QuestionKind.NUMERIC,
        text="After a loss of 50%, which gain in per cent is needed to be back where you began?",
        key="100",
        tolerance="0.5",
    ),
]

COURSE = CourseDraft(
    title="Trading foundations",
    slug=SLUG,
    description="How orders become trades on Indian exchanges, what they cost, and how to size a position by "
    "the loss you accept. Education only: no securities are recommended, and prices shown are at least three "
    "months old.",
    category="trading",
    level="beginner",
    tags=["orders", "costs", "risk"],
    price=24_999_00,
    syllabus=SyllabusDraft(
        access_months=12,
        modules=[
            ModuleDraft(
                title="How a trade happens",
                lessons=[
                    LessonDraft(
                        title="What this course is, and is not",
                        type=LessonType.VIDEO,
                        preview=True,
                        content=WELCOME.strip(),
                        transcript=WELCOME.strip(),
                        media="trading-foundations-01.mp4",
                        duration_seconds=360,
                    ),
                    LessonDraft(title="Order types", type=LessonType.TEXT, content=ORDERS.strip()),
                    LessonDraft(title="What a trade costs", type=LessonType.TEXT, content=COSTS.strip()),
                ],
            ),
            ModuleDraft(
                title="How much to risk",
                lessons=[
                    LessonDraft(
                        title="Sizing a position",
                        type=LessonType.VIDEO,
                        content=SIZING.strip(),
                        transcript=SIZING.strip(),
                        media="trading-foundations-04.mp4",
                        duration_seconds=840,
                    ),
                    LessonDraft(
                        title="Drawdown: a day in March 2020",
                        type=LessonType.TEXT,
                        content=DRAWDOWN.strip(),
                        market_data_until=date(2020, 3, 23),
                    ),
                    LessonDraft(title="Keeping a journal", type=LessonType.TEXT, content=REVIEW.strip()),
                    LessonDraft(
                        title="Assessment",
                        type=LessonType.QUIZ,
                        content="Six questions, thirty minutes. You pass with 60 of 100.",
                        assessment=AssessmentDraft(title="Trading foundations", questions=QUESTIONS),
                    ),
                ],
            ),
        ],
    ),
)


async def seed(connection: Connection) -> None:
    """Adds and publishes the course unless it is there. It has no owner: every instructor may see to it."""
    if await education_courses.find(connection, SLUG):
        return
    course_id, now = mint(Prefix.COURSE), datetime.now(UTC)
    await education_edits.create(connection, course_id, None, COURSE, now)
    await education_edits.publish(connection, course_id, COURSE, EDIT_ID, PUBLISHER, now)
