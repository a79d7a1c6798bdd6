"""The trading pool: orders and sessions, and the broker's calls on a queue of their own."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.broker_day import BrokerDayActivities
from activities.broker_sessions import SessionActivities
from activities.brokers import Brokers
from activities.exits import ExitActivities
from activities.foreign_orders import ForeignOrderActivities
from activities.kill_switch import KillSwitchActivities
from activities.session_reminders import ReminderActivities
from activities.trading import OrderActivities
from models.contracts.queues import Queue
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.broker_days import BrokerBreak, BrokerDay, BrokerDays
from workflows.exits import ExitOrders
from workflows.foreign_orders import ForeignOrders
from workflows.kill_switch import KillSwitch
from workflows.orders import Order
from workflows.session_reminders import SessionReminders
from workflows.sessions import TradingSession


def activities(parts: Parts) -> Sequence[Callable[..., Any]]:
    """Both queues serve all of them; a workflow says where each one runs."""
    brokers = Brokers(parts.settings, parts.database, parts.vault, parts.redis)
    orders = OrderActivities(parts.database, brokers)
    sessions = SessionActivities(parts.database, parts.vault, brokers, parts.client)
    reminders = ReminderActivities(parts.database, parts.vault)
    days = BrokerDayActivities(parts.database, parts.vault, brokers)
    exits = ExitActivities(parts.database, brokers, parts.client)
    foreign = ForeignOrderActivities(parts.database, brokers, parts.client)
    stops = KillSwitchActivities(
        parts.database,
        parts.vault,
        brokers,
        parts.client,
        parts.settings.report_key.get_secret_value(),
    )
    return [
        orders.admit,
        orders.record,
        orders.settle_attempt,
        orders.submit,
        orders.resolve_attempt,
        orders.read_order,
        orders.cancel_at_broker,
        orders.modify_at_broker,
        foreign.adopt_orders,
        exits.open,
        exits.place,
        exits.find,
        exits.look,
        sessions.open_login,
        sessions.exchange_token,
        sessions.find_session,
        sessions.end_session,
        sessions.wake_orders,
        stops.block_account,
        stops.stop_orders,
        stops.flatten,
        stops.flattening,
        stops.lift_block,
        stops.report_stop,
        reminders.remind_sessions,
        sessions.store_settings,
        days.days_due,
        days.compare_day,
        days.decide_break,
    ]


POOL = Pool(
    "trading",
    queues=[
        Served(
            Queue.TRADING,
            workflows=[
                Order,
                ExitOrders,
                ForeignOrders,
                TradingSession,
                KillSwitch,
                BrokerDays,
                BrokerDay,
                BrokerBreak,
                SessionReminders,
            ],
            activities=activities,
        ),
        Served(Queue.KITE, activities=activities),
    ],
)
