"""Schemas of every column; promises, events received, notes, the outbox, and the people's keys."""

from alembic import op

revision = "0001"
down_revision = None

UP = """
CREATE SCHEMA platform;
CREATE SCHEMA user_management;
CREATE SCHEMA education;
CREATE SCHEMA finance;
CREATE SCHEMA signals;
CREATE SCHEMA trading;
CREATE SCHEMA audit;

CREATE TABLE platform.commands (
    command_id text PRIMARY KEY,
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    business_id text NOT NULL,
    drive bytea NOT NULL,
    answer bytea,
    attempts integer NOT NULL,
    holder text NOT NULL,
    lease_until timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    lasting boolean NOT NULL,
    UNIQUE (actor, route, key)
);
CREATE INDEX commands_open ON platform.commands (lease_until) WHERE answer IS NULL;

CREATE TABLE platform.events (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    event_id text NOT NULL,
    raw bytea NOT NULL,
    workflow_id text,
    signal text,
    argument bytea,
    attempts integer NOT NULL,
    received_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    done_at timestamptz,
    UNIQUE (source, event_id)
);
CREATE INDEX events_open ON platform.events (due_at) WHERE done_at IS NULL;

CREATE TABLE platform.notes (
    note_id text PRIMARY KEY,
    author text NOT NULL,
    text bytea NOT NULL,
    made_at timestamptz NOT NULL
);

CREATE TABLE user_management.person_keys (
    person_id text PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    made_at timestamptz NOT NULL
);

CREATE TABLE audit.outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    body jsonb NOT NULL,
    made_at timestamptz NOT NULL,
    sequence bigint
);
CREATE INDEX outbox_unnumbered ON audit.outbox (number) WHERE sequence IS NULL;
CREATE UNIQUE INDEX outbox_sequence ON audit.outbox (topic, sequence);

CREATE TABLE audit.topics (
    topic text PRIMARY KEY,
    last_sequence bigint NOT NULL,
    published_sequence bigint NOT NULL CHECK (published_sequence <= last_sequence)
);

CREATE FUNCTION audit.wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_wakes_relay AFTER INSERT ON audit.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION audit.wake_relay();
"""

DOWN = """
DROP SCHEMA audit CASCADE;
DROP SCHEMA trading CASCADE;
DROP SCHEMA signals CASCADE;
DROP SCHEMA finance CASCADE;
DROP SCHEMA education CASCADE;
DROP SCHEMA user_management CASCADE;
DROP SCHEMA platform CASCADE;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
