"""Plans: what is on offer, seeded, never deleted."""

from dataclasses import asdict, dataclass

from domain.gst import SAC_RESEARCH
from models.messages.subscription_state import PlanTerms
from store.database import Connection


@dataclass(frozen=True)
class Offer:
    plan_id: str
    name: str
    tier: str
    amount: int
    cycle: str
    currency: str = "INR"
    research_services: bool = True
    sac: str = SAC_RESEARCH
    family: str = "premium"
    trial_days: int = 0


TRIAL_DAYS = 14
"""Treum's own offer, once a person and family of plans, to who asks for it."""

OFFERS = (
    Offer("pln_premium_monthly", "Premium, monthly", "premium", 1_999_00, "monthly", trial_days=TRIAL_DAYS),
    Offer("pln_premium_quarterly", "Premium, quarterly", "premium", 5_499_00, "quarterly"),
    Offer("pln_premium_yearly", "Premium, yearly", "premium", 19_999_00, "yearly"),
    Offer(
        "pln_premium_basic_monthly",
        "Premium without research services, monthly",
        "premium",
        999_00,
        "monthly",
        research_services=False,
        family="premium_basic",
        trial_days=TRIAL_DAYS,
    ),
    Offer(
        "pln_enterprise_monthly",
        "Enterprise, monthly",
        "enterprise",
        9_999_00,
        "monthly",
        family="enterprise",
    ),
)
"""Prices in paise, GST included; founding document: premium ₹999 to ₹2,999, enterprise ₹9,999 a month."""

COLUMNS = "plan_id, name, tier, amount, currency, cycle, research_services, sac, family, trial_days"


async def seed(connection: Connection) -> None:
    """Adds the plans that are not there; one that is there keeps its terms, whatever this file says."""
    for place, offer in enumerate(OFFERS):
        await connection.execute(
            """INSERT INTO finance.subscription_plans
                   (plan_id, name, tier, amount, currency, cycle, research_services, sac, family, trial_days,
                    place)
               VALUES (%(plan_id)s, %(name)s, %(tier)s, %(amount)s, %(currency)s, %(cycle)s,
                       %(research_services)s, %(sac)s, %(family)s, %(trial_days)s, %(place)s)
               ON CONFLICT (plan_id) DO NOTHING""",
            {**asdict(offer), "place": place},
        )


async def offered(connection: Connection) -> list[PlanTerms]:
    """Plans on offer, in the order in which they are shown."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM finance.subscription_plans WHERE offered ORDER BY place"  # noqa: S608
    )
    return [PlanTerms.model_validate(row) for row in await cursor.fetchall()]


async def find(connection: Connection, plan_id: str) -> PlanTerms | None:
    """A plan on offer."""
    cursor = await connection.execute(
        f"SELECT {COLUMNS} FROM finance.subscription_plans WHERE plan_id = %s AND offered",  # noqa: S608
        (plan_id,),
    )
    row = await cursor.fetchone()
    return PlanTerms.model_validate(row) if row else None
