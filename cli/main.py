"""The ``treum`` command. Each command imports what it needs when it runs: ``--help`` costs nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import Refused

app = typer.Typer(
    name="treum",
    help="Trading education, signals and broker-connected trading on durable workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Home = Annotated[
    Path, typer.Option("--home", envvar="TREUM_HOME", help="Folder of the state.", show_default=True)
]
DEFAULT_HOME = Path(".treum")


def _refusing(action: Callable[[], None]) -> None:
    """Turn a refusal into one sentence on stderr and exit 1."""
    try:
        action()
    except Refused as refusal:
        typer.echo(f"treum: {refusal}", err=True)
        raise typer.Exit(1) from None


@app.command()
def up(
    home: Home = DEFAULT_HOME,
    port_base: Annotated[
        int | None,
        typer.Option("--port-base", min=0, max=65000, help="First port of a row; 0 takes free ones."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready; `down` ends it.")] = False,
    engines: Annotated[bool, typer.Option("--engines", hidden=True)] = False,
    volatile: Annotated[bool, typer.Option("--volatile", hidden=True)] = False,
    leash: Annotated[bool, typer.Option("--leash", hidden=True)] = False,
) -> None:
    """Start everything and stay."""

    def action() -> None:
        if detach:
            from cli.detach import detached

            detached(home, port_base, engines_only=engines)
            return
        from cli.progress import reporting
        from cli.up import up as run

        with reporting() as report:
            run(home, port_base, report, engines_only=engines, durable=not volatile, leash=leash)

    _refusing(action)


@app.command()
def down(home: Home = DEFAULT_HOME) -> None:
    """Stop all that `up` started, and only that."""
    from cli.up import down as stop

    _refusing(lambda: typer.echo("stopped" if stop(home) else f"nothing runs in {home}"))


@app.command()
def status(
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each process: pid, port, health, since, restarts."""
    from cli.status import show

    raise typer.Exit(0 if show(home, as_json=as_json) else 1)


@app.command()
def doctor(home: Home = DEFAULT_HOME) -> None:
    """Check the machine, with the mend for each failure."""
    from cli.doctor import examine

    raise typer.Exit(0 if examine(home) else 1)


def _process(name: str, *arguments: str) -> None:
    from cli.entry import run

    run(name, arguments)


@app.command()
def migrate() -> None:
    """Bring the record's schema up to date."""
    _process("migrate")


@app.command()
def register() -> None:
    """Register search attributes and retention with Temporal."""
    _process("register")


@app.command()
def keys(folder: Annotated[Path, typer.Argument(help="Where the *.env files go.")]) -> None:
    """Write fresh secrets for a cluster, one file for each group that may hold them."""
    from cli.cluster import write_env_files

    _refusing(lambda: typer.echo("\n".join(map(str, write_env_files(folder)))))


@app.command()
def seed() -> None:
    """Write what every new platform holds: staff, plans, courses."""
    _process("seed")


@app.command()
def api() -> None:
    """Run the HTTP API."""
    _process("api")


@app.command()
def worker(pool: Annotated[str, typer.Argument(metavar="POOL")]) -> None:
    """Run one pool of workers: onboarding, billing, education, signals or trading."""
    from cli.entry import POOLS

    if pool not in POOLS:
        typer.echo(f"treum: no pool is called {pool}; there are {', '.join(POOLS)}", err=True)
        raise typer.Exit(1)
    _process("worker", pool)


@app.command()
def live() -> None:
    """Run the live hub."""
    _process("live")


@app.command()
def relay() -> None:
    """Run the outbox relay and the sweepers."""
    _process("relay")


@app.command()
def sandbox() -> None:
    """Run the outside world on localhost."""
    _process("sandbox")


@app.command()
def codec() -> None:
    """Run the codec server in front of the Temporal UI."""
    _process("codec")


@app.command()
def verify(
    home: Annotated[
        Path | None, typer.Option("--home", help="Of an embedded platform; else TREUM_* decides.")
    ] = None,
) -> None:
    """Judge the books from outside: the providers' journal against ledger, orders and messages."""
    from cli.verify import main

    raise typer.Exit(main(home))


book = typer.Typer(help="The ledger, read from Postgres alone.", no_args_is_help=True)
app.add_typer(book, name="ledger")


@book.command("verify")
def verify_ledger(
    home: Annotated[
        Path | None, typer.Option("--home", help="Of an embedded platform; else TREUM_* decides.")
    ] = None,
) -> None:
    """Prove the whole book: it balances, and each account is what the records say."""
    from cli.ledger import main

    raise typer.Exit(main(home))


@app.command()
def positions(
    home: Annotated[
        Path | None, typer.Option("--home", help="Of an embedded platform; else TREUM_* decides.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Keep what was rebuilt.")] = False,
) -> None:
    """Rebuild every position from its trade events alone and say whether each is what it was."""
    from cli.positions import main

    raise typer.Exit(main(home, repair=repair))


@app.command()
def demo() -> None:
    """Drive the main job through HTTP and print each step."""
    from cli.demo.run import main

    raise typer.Exit(main())


if __name__ == "__main__":
    app()
