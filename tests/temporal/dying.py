"""A process that dies at a boundary of the envelope: what it had written stands, the rest never happened."""

from enum import StrEnum

from models.contracts.commands import Alongside, Answer, Drive, Promise, Request
from store.commands import Commands


class Boundary(StrEnum):
    NONE = "lives"
    PROMISED = "dies before it drives"
    DRIVEN = "dies with the answer in hand"
    KEPT = "dies before it answers"


class Died(BaseException):
    """SIGKILL, as far as the envelope can tell: nothing of it runs any more."""


class Mortal(Commands):
    """The record on Postgres, whose process dies once at `at`."""

    at = Boundary.NONE

    async def promise(
        self, request: Request, business_id: str, drive: Drive, alongside: Alongside | None
    ) -> Promise:
        promise = await super().promise(request, business_id, drive, alongside)
        self._dies(Boundary.PROMISED)
        return promise

    async def keep(self, command_id: str, answer: Answer) -> Answer:
        self._dies(Boundary.DRIVEN)
        kept = await super().keep(command_id, answer)
        self._dies(Boundary.KEPT)
        return kept

    async def time_passes(self) -> None:
        """An hour, as far as leases can tell."""
        async with self._database.reading() as connection:
            await connection.execute(
                "UPDATE platform.commands SET lease_until = lease_until - interval '1 hour'"
            )

    def _dies(self, here: Boundary) -> None:
        if self.at is here:
            self.at = Boundary.NONE
            raise Died
