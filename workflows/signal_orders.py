"""A published signal becomes an order, ready for the yes of each customer who wants that."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import READ_BROKER
    from models.messages.signal_orders import PreparePage, SignalOrdersInput
    from workflows.ports.signal_orders import SignalOrdersPort
    from workflows.visible import show, working


@workflow.defn(name="SignalOrders")
class SignalOrders:
    """`signal-orders:{signal}`. Page by page, each account once: an order's id follows from signal and
    account, so that a page which is done twice prepares nothing twice."""

    @workflow.run
    async def run(self, given: SignalOrdersInput) -> int:
        after: str | None = given.after
        prepared = given.prepared
        show(state="preparing", reference=[given.signal_id])
        while after is not None:
            working(f"{prepared} orders of {given.signal_id} are prepared")
            asked = PreparePage(signal_id=given.signal_id, after=after, as_of=workflow.now())
            page = await workflow.execute_activity_method(
                SignalOrdersPort.prepare_orders, asked, **READ_BROKER.options()
            )
            prepared, after = prepared + page.orders, page.after
            if after is not None and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    SignalOrdersInput(signal_id=given.signal_id, after=after, prepared=prepared)
                )
        show(state="done")
        working(f"over: {prepared} orders")
        return prepared
