"""The embedded engines as every other test uses them."""

import psycopg
from redis import Redis
from temporalio.client import Client

from cli.embedded import EmbeddedEngines
from temporal.server import RETENTION


def test_a_fresh_database_is_migrated_and_apart_from_others(engines: EmbeddedEngines) -> None:
    one, two = engines.fresh_database(), engines.fresh_database()
    with psycopg.connect(one) as first, psycopg.connect(two) as second:
        first.execute("CREATE TABLE only_here (id int)")
        first.commit()
        versions = [
            db.execute("SELECT version_num FROM alembic_version").fetchall() for db in (first, second)
        ]
        assert versions[0] == versions[1] != []
        assert second.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    for dsn in (one, two):
        engines.drop_database(dsn)


def test_redis_keeps_an_append_only_file_behind_a_password(engines: EmbeddedEngines) -> None:
    client = Redis.from_url(engines.settings.redis)
    assert client.config_get("append*")["appendonly"] == "yes"
    assert client.config_get("requirepass")["requirepass"]


async def test_the_namespace_keeps_histories_for_ninety_days(engines: EmbeddedEngines) -> None:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    client = await Client.connect(engines.settings.temporal, namespace=engines.settings.namespace)
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="treum"))
    assert answer.config.workflow_execution_retention_ttl.ToTimedelta() == RETENTION
