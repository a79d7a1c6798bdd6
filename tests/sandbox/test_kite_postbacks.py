"""Postbacks: planted losses, doubles, disorder and forgery, and delivery after a kill."""

import hashlib
import json
from typing import Any

from tests.sandbox.conftest import Sandbox
from tests.sandbox.kite_user import KiteUser
from tests.sandbox.receiver import Received, Receiver


def bodies(items: list[Received]) -> list[dict[str, Any]]:
    """The postbacks as JSON; one that a kill cut short is none."""
    whole = (item for item in items if len(item.body) == int(item.headers["content-length"]))
    return [json.loads(item.body) for item in whole]


def genuine(body: dict[str, Any], secret: str) -> bool:
    """Whether the checksum is Kite's."""
    source = f"{body['order_id']}{body['order_timestamp']}{secret}"
    return bool(body["checksum"] == hashlib.sha256(source.encode()).hexdigest())


def plant(kite: KiteUser, fault: str, times: int = 1) -> None:
    """Plants a webhook fault."""
    kite.sandbox.control("POST", "/faults", {"target": "kite", "fault": fault, "times": times})


def test_a_dropped_postback_is_lost_and_the_next_one_comes(kite: KiteUser, hooks: Receiver) -> None:
    plant(kite, "drop_webhook")
    lost = kite.buy(quantity=1, price=1400)
    kite.wait(lost, "COMPLETE")
    sent = kite.buy(quantity=1, price=1400)
    received = bodies(hooks.wait(lambda items: len(items) >= 1))
    assert [body["order_id"] for body in received] == [sent]


def test_a_doubled_postback_is_the_same_twice(kite: KiteUser, hooks: Receiver) -> None:
    plant(kite, "duplicate_webhook")
    kite.buy(quantity=1, price=1400)
    first, second = hooks.wait(lambda items: len(items) == 2)
    assert first.body == second.body


def test_a_forged_postback_fails_its_checksum(kite: KiteUser, hooks: Receiver) -> None:
    plant(kite, "tampered_webhook")
    kite.buy(quantity=1, price=1400)
    (body,) = bodies(hooks.wait(lambda items: len(items) == 1))
    assert not genuine(body, kite.sandbox.credentials["kite"]["api_secret"])


def test_postbacks_come_in_the_wrong_order(kite: KiteUser, hooks: Receiver) -> None:
    plant(kite, "reorder_webhooks")
    kite.market(manual=True)
    order_id = kite.buy(quantity=2, price=1400)
    kite.wait(order_id, "OPEN")
    kite.fill(order_id, 1)
    kite.fill(order_id, 1)
    received = bodies(hooks.wait(lambda items: len(items) == 2))
    told = [(body["status"], body["filled_quantity"]) for body in received]
    assert told == [("COMPLETE", 2), ("UPDATE", 1)]


def test_a_refused_postback_is_sent_again(kite: KiteUser, hooks: Receiver) -> None:
    hooks.answers.append(500)
    kite.buy(quantity=1, price=1400)
    first, second = hooks.wait(lambda items: len(items) == 2)
    assert first.body == second.body


def test_what_was_due_is_sent_after_a_kill(own_sandbox: Sandbox, hooks_server: Receiver) -> None:
    hooks_server.clear()
    hooks_server.answers.extend([500, 500])
    kite = KiteUser(own_sandbox)
    order_id = kite.buy(quantity=1, price=1400)
    hooks_server.wait(lambda items: len(items) >= 1)
    own_sandbox.kill()
    hooks_server.clear()
    own_sandbox.restart()
    received = bodies(hooks_server.wait(lambda items: len(bodies(items)) >= 1))
    assert received[0]["order_id"] == order_id
    assert genuine(received[0], own_sandbox.credentials["kite"]["api_secret"])
