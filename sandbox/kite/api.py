"""The routes of the API below `/kite`, each with its rate-limit bucket."""

from starlette.routing import BaseRoute, Route

from sandbox.kite import funds, gtt, mutualfunds, orders, portfolio, quotes, session, ticker
from sandbox.kite.caller import Gate, Handler
from sandbox.kite.limits import Limits
from sandbox.world import World

SIGNED_IN: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/user/profile", session.profile, "other"),
    ("GET", "/user/margins", funds.user_margins, "other"),
    ("GET", "/user/margins/{segment}", funds.user_margins, "other"),
    ("GET", "/orders", orders.orders, "other"),
    ("GET", "/trades", orders.trades, "other"),
    ("GET", "/orders/{order_id}", orders.history, "other"),
    ("GET", "/orders/{order_id}/trades", orders.order_trades, "other"),
    ("POST", "/orders/{variety}", orders.place_order, "order"),
    ("PUT", "/orders/{variety}/{order_id}", orders.modify_order, "other"),
    ("DELETE", "/orders/{variety}/{order_id}", orders.cancel_order, "other"),
    ("GET", "/portfolio/positions", portfolio.positions, "other"),
    ("PUT", "/portfolio/positions", portfolio.convert, "other"),
    ("GET", "/portfolio/holdings", portfolio.holdings, "other"),
    ("GET", "/portfolio/holdings/auctions", portfolio.auctions, "other"),
    ("GET", "/mf/orders", mutualfunds.orders, "other"),
    ("POST", "/mf/orders", mutualfunds.place, "other"),
    ("GET", "/mf/orders/{order_id}", mutualfunds.order, "other"),
    ("DELETE", "/mf/orders/{order_id}", mutualfunds.cancel, "other"),
    ("GET", "/mf/sips", mutualfunds.sips, "other"),
    ("POST", "/mf/sips", mutualfunds.place_sip, "other"),
    ("GET", "/mf/sips/{sip_id}", mutualfunds.sip, "other"),
    ("PUT", "/mf/sips/{sip_id}", mutualfunds.modify_sip, "other"),
    ("DELETE", "/mf/sips/{sip_id}", mutualfunds.cancel_sip, "other"),
    ("GET", "/mf/holdings", mutualfunds.holdings, "other"),
    ("GET", "/mf/instruments", mutualfunds.instruments, "other"),
    ("GET", "/instruments", quotes.instruments, "other"),
    ("GET", "/instruments/historical/{token}/{interval}", quotes.historical, "historical"),
    ("GET", "/instruments/trigger_range/{transaction_type}", quotes.trigger_range, "other"),
    ("GET", "/instruments/{exchange}", quotes.instruments, "other"),
    ("GET", "/margins/{segment}", quotes.segment_margins, "other"),
    ("GET", "/quote", quotes.quote, "quote"),
    ("GET", "/quote/ohlc", quotes.ohlc, "quote"),
    ("GET", "/quote/ltp", quotes.ltp, "quote"),
    ("GET", "/gtt/triggers", gtt.gtts, "other"),
    ("POST", "/gtt/triggers", gtt.place_gtt, "other"),
    ("GET", "/gtt/triggers/{trigger_id:int}", gtt.gtt, "other"),
    ("PUT", "/gtt/triggers/{trigger_id:int}", gtt.modify_gtt, "other"),
    ("DELETE", "/gtt/triggers/{trigger_id:int}", gtt.delete_gtt, "other"),
    ("POST", "/margins/orders", funds.order_margins, "other"),
    ("POST", "/margins/basket", funds.basket_margins, "other"),
    ("POST", "/charges/orders", funds.contract_note, "other"),
)


def routes(world: World) -> list[BaseRoute]:
    """Every REST call of Kite Connect v3, the login page and the ticker."""
    limits = Limits()
    world.on_reset.append(limits.clear)
    gate = Gate(world, limits)
    opened = [
        Route("/kite/session/token", gate.open(session.exchange_token), methods=["POST"]),
        Route("/kite/session/token", gate.open(session.invalidate), methods=["DELETE"]),
        Route("/kite/session/refresh_token", gate.open(session.renew), methods=["POST"]),
        Route("/kite/connect/login", gate.open(session.login_page), methods=["GET"]),
        Route("/kite/connect/login", gate.open(session.login), methods=["POST"]),
    ]
    return [
        *opened,
        ticker.route(world),
        *(
            Route(f"/kite{path}", gate.signed_in(handler, bucket), methods=[method])
            for method, path, handler, bucket in SIGNED_IN
        ),
    ]
