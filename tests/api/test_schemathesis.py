"""Schemathesis over the served document: no call, however odd, gives more than a problem document."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from cli.embedded import EmbeddedEngines
from tests.api.conftest import Api, eventually
from tests.api.house import ROLES, House, house
from tests.api.test_contract import OWNED, SHARED, Call

pytestmark = pytest.mark.campaign
ROOT = Path(__file__).resolve().parents[2]
SEED = 20261123
SECONDS = 240.0
"""Far more than it takes: a run that hangs is ended and fails."""
CASES = 5
"""A call."""
STAFF_PATHS = "^/v1/(audit|compliance|courses|enrollments|finance|kyc|signals|staff)"
CONFIG = """
[checks.not_a_server_error]
# An engine that is away, and calls that are honestly not there yet.
expected-statuses = ["2xx", "3xx", "4xx", 501, 503]
"""


@pytest.fixture(scope="module")
async def served(engines: EmbeddedEngines, app: FastAPI, api: Api) -> AsyncIterator[tuple[House, str]]:
    """The API on a port, every pool behind it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    async with house(engines, api) as place:
        await place.furnish()
        await eventually(lambda: asyncio.sleep(0, server.started), bool)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield place, f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


async def operations(place: House) -> Iterator[str]:
    """Objects that exist, for the paths that name one: what is asked of nothing tries little."""
    document = (await place.api.get("/v1/openapi.json")).json()
    named = {**SHARED, **OWNED}
    # Ending the session that the run is signed in with would end the run.
    del named["/v1/auth/sessions/{session_id}"]
    texts = []
    for template in document["paths"]:
        kind = Call("", template, False, False).object_in(named)
        if kind in place.ids and (first := re.search(r"{(\w+)}", template)):
            parameters = json.dumps({f"path.{first[1]}": place.ids[kind]}).replace('": ', '" = ')
            texts.append(
                f"[[operations]]\ninclude-path = {json.dumps(template)}\nparameters = {parameters}\n"
            )
    assert len(texts) > 20
    return iter(texts)


@pytest.mark.parametrize(("who", "paths"), [("customer", ""), ("staff", STAFF_PATHS)])
async def test_the_document_holds_against_odd_requests(
    served: tuple[House, str], tmp_path: Path, who: str, paths: str
) -> None:
    place, url = served
    person = place.owner if who == "customer" else await place.api.staff(*ROLES)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG + "".join(await operations(place)))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        f"{url}/v1/openapi.json",
        *("--header", f"Authorization: Bearer {person.access_token}"),
        *("--seed", str(SEED), "--generation-deterministic"),
        *("--phases", "fuzzing", "--max-examples", str(CASES), "--no-shrink", "--continue-on-failure"),
        *("--suppress-health-check", "all", "--request-timeout", "20", "--workers", "1", "--no-color"),
        # The rest of the run would be signed out.
        *("--exclude-path", "/v1/auth/logout"),
        # A wrong code is well-formed and refused with 422 all the same.
        *("--exclude-checks", "positive_data_acceptance"),
    ]
    if paths:
        command += ["--include-path-regex", paths]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.api.fuzzing"}
    running = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(running.communicate(), SECONDS)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    told = output.decode()
    assert running.returncode == 0, told[-20_000:]
    counted = re.search(r"(\d+) generated, (\d+) passed", told)
    assert counted, told[-2_000:]
    assert int(counted[1]) == int(counted[2]) > 50
