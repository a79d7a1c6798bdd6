"""SIGKILL at any moment: no answered order is lost, no fill is counted twice, every end is told."""

import itertools
import random
import threading

from requests.exceptions import RequestException

from tests.sandbox.conftest import Sandbox
from tests.sandbox.kite_user import KiteUser
from tests.sandbox.receiver import Receiver
from tests.sandbox.test_kite_postbacks import bodies

SEED = 20261123
KILLS = 4


def test_random_kills_lose_nothing_and_double_nothing(own_sandbox: Sandbox, hooks_server: Receiver) -> None:
    hooks_server.clear()
    kite = KiteUser(own_sandbox)
    chance = random.Random(SEED)
    answered: dict[str, str] = {}
    for turn in range(KILLS):
        # The kill is set off after some answers and strikes a little later, wherever the next calls are then.
        killer = threading.Timer(chance.uniform(0, 0.02), own_sandbox.kill)
        deadly = chance.randint(2, 6)
        for number in itertools.count(1):
            tag = f"k{turn}n{number}"
            try:
                answered[tag] = kite.place(quantity=3, tag=tag)
            except RequestException:
                break  # the answer is lost: the book tells below whether the order was taken
            if number == deadly:
                killer.start()
        killer.join()
        own_sandbox.restart()
    book = {order["tag"]: order["order_id"] for order in kite.client.orders()}
    assert len(answered) >= 2 * KILLS
    assert set(answered.items()) <= set(book.items())
    assert len(kite.client.orders()) == len(book), "an order was taken twice"
    for order_id in book.values():
        kite.wait(order_id, "COMPLETE")
        assert sum(trade["quantity"] for trade in kite.client.order_trades(order_id)) == 3
    (position,) = kite.client.positions()["net"]
    assert position["quantity"] == 3 * len(book)
    hooks_server.wait(lambda items: {body["order_id"] for body in bodies(items)} >= set(book.values()))
