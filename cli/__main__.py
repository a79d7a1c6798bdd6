"""``python -m cli`` is the ``treum`` command."""

from cli.main import app

app(prog_name="treum")
