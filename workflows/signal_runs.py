"""A strategy runs over candles and draws up signals; the house signs in at the broker for them."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.signals import Status
    from models.contracts.identifiers import Prefix, mint
    from models.contracts.policies import BOOK, IRREVERSIBLE, READ_BROKER, Step
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.signals import (
        DraftView,
        ExchangeMarketToken,
        Generate,
        MarketSession,
        OpenMarketData,
        OpenSession,
        Proposal,
        RunInput,
        RunResult,
        RunStrategy,
        RunView,
        WatchedBar,
    )
    from models.messages.watchlist import NoteBar
    from workflows.failures import outcome, refuse
    from workflows.ports.signals import MarketPort
    from workflows.ports.watchlist import WatchlistPort
    from workflows.signals import SignalLifecycle
    from workflows.visible import show, working


@workflow.defn(name="SignalRun")
class SignalRun:
    """`signal-run:{timeframe}:{at}`, where `at` is a run that an analyst asks for, or bar and watch that a
    round starts it for. A strategy's rule over the latest candles, in seconds; each signal that it draws
    up lives on as a process of its own."""

    @workflow.init
    def __init__(self, run: RunInput) -> None:
        self._run = run
        self._over = False
        self._state = ""

    @workflow.run
    async def run(self, run: RunInput) -> str:
        if run.watched is not None:
            await self._after_the_bar(run.watched)
            return self._state
        await workflow.wait_condition(lambda: self._over)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    @workflow.update(name="generate")
    async def generate(self, command: Generate) -> RunView:
        """Reads the candles, applies the rule, and starts a lifecycle for each signal drawn up."""
        try:
            return _view(await self._drawn_up())
        except ActivityError as error:
            code = outcome(error).code
            self._tell("refused", None)
            raise refuse(code) from None
        finally:
            self._over = True

    async def _after_the_bar(self, watched: WatchedBar) -> None:
        """Runs by itself, as long as the bar is fresh; what became of it is told with what is on watch."""
        left = watched.fresh_until - workflow.now()
        try:
            if left > timedelta():
                await self._drawn_up(replace(READ_BROKER, schedule_to_close=left))
            else:
                self._tell("bar_over", None)
        except ActivityError as error:
            late = workflow.now() >= watched.fresh_until
            self._tell("bar_over" if late else outcome(error).code, None)
        note = NoteBar(
            watch_id=watched.watch_id,
            bar_at=watched.closed_at,
            run_id=self._run.run_id,
            outcome=self._state,
        )
        await workflow.execute_local_activity_method(WatchlistPort.note_bar, note, **BOOK.local())

    async def _drawn_up(self, step: Step = READ_BROKER) -> RunResult:
        result = await self._apply_the_rule(step)
        for proposal in result.proposals:
            await self._begin(proposal)
        self._tell("done" if result.proposals else result.reason_code or "no_signal", result)
        return result

    async def _apply_the_rule(self, step: Step) -> RunResult:
        command = RunStrategy(
            run=self._run, signal_id=mint(Prefix.SIGNAL, workflow.uuid7()), as_of=workflow.now()
        )
        return await workflow.execute_activity_method(MarketPort.run_strategy, command, **step.options())

    async def _begin(self, proposal: Proposal) -> None:
        await workflow.start_child_workflow(
            SignalLifecycle.run,
            proposal.signal(self._run),
            id=workflow_id(Kind.SIGNAL, proposal.signal_id),
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"{proposal.terms.action} {proposal.terms.exchange}:{proposal.terms.symbol}",
        )

    def _tell(self, state: str, result: RunResult | None) -> None:
        self._state = state
        drawn = [proposal.signal_id for proposal in result.proposals] if result else []
        watch = [self._run.watched.watch_id] if self._run.watched else []
        show(state=state, symbol=self._run.symbol, reference=[self._run.run_id, *watch, *drawn])
        working(f"{state}: {result.candle_count} {result.candle_source} candles" if result else state)


@workflow.defn(name="MarketData")
class MarketData:
    """`market-data:{session}`: one sign-in of the house at the broker, for reading alone."""

    @workflow.init
    def __init__(self, opening: OpenMarketData) -> None:
        self._opening = opening
        self._over = False

    @workflow.run
    async def run(self, opening: OpenMarketData) -> None:
        await workflow.wait_condition(lambda: self._over)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update(name="open")
    async def open(self, command: OpenSession) -> MarketSession:
        """Spends the request token. A lost answer spent it too: someone signs in again."""
        asked = ExchangeMarketToken(**self._opening.model_dump(), as_of=workflow.now())
        try:
            opened = await workflow.execute_activity_method(
                MarketPort.open_market_data, asked, task_queue=Queue.SIGNALS, **IRREVERSIBLE.options()
            )
        except ActivityError as error:
            show(state="refused", reference=[self._opening.session_id])
            raise refuse(outcome(error).code) from None
        finally:
            self._over = True
        show(state="connected", reference=[self._opening.session_id], due=opened.expires_at)
        return opened


def _view(result: RunResult) -> RunView:
    drafts = [
        DraftView(
            signal_id=proposal.signal_id,
            status=Status.DRAFT,
            action=proposal.terms.action,
            entry_price=str(proposal.terms.entry_price),
            target_price=str(proposal.terms.target_price),
            stop_loss=str(proposal.terms.stop_loss),
            confidence=proposal.terms.confidence,
            expires_at=proposal.terms.expires_at,
        )
        for proposal in result.proposals
    ]
    return RunView(**result.model_dump(exclude={"proposals"}), signals=drafts)
