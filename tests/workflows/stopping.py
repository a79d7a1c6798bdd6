"""A customer's emergency stop in tests: engaged as the API does, its report read and checked."""

from typing import Any

from api.trading.kill_switch import switch_drive
from models.contracts.commands import Answer, Drive
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.reports import check
from models.contracts.workflow_ids import Kind, workflow_id
from tests.workflows.traders import Floor, Trader, eventually


async def engage(floor: Floor, trader: Trader, *, flatten: bool = False) -> str:
    switch = mint(Prefix.KILL_SWITCH)
    drive = switch_drive(switch, trader.account_id, trader.user_id, flatten=flatten)
    answer = await floor.run(drive, switch, trader.user_id)
    assert answer.refused is None, answer
    return switch


async def lift(floor: Floor, trader: Trader, switch: str) -> Answer:
    drive = Drive(
        workflow_type="KillSwitch",
        workflow_id=workflow_id(Kind.KILL_SWITCH, trader.account_id, switch),
        queue=Queue.TRADING,
        update="lift",
        argument={},
    )
    return await floor.run(drive, switch, trader.user_id)


async def reported(floor: Floor, switch: str, status: str = "done") -> dict[str, Any]:
    """The switch's row once it stands so; what its signature covers is what is shown."""

    async def there() -> dict[str, Any] | None:
        query = "SELECT * FROM trading.kill_switches WHERE kill_switch_id = %s AND status = %s"
        rows = await floor.rows(query, switch, status)
        return rows[0] if rows else None

    row = await eventually(there, f"the report to be {status}")
    assert check(row["signed_report"], floor.settings.report_public_keys) == row["report"]
    return row
