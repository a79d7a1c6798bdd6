"""The supporting column's tables, constraints and triggers."""

from alembic import op

revision = "0008"
down_revision = "0007"

UP = """
CREATE TABLE audit.trail (
    number bigint PRIMARY KEY,
    made_at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subjects text[] NOT NULL CHECK (cardinality(subjects) > 0),
    run text,
    detail jsonb NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL UNIQUE
);
CREATE INDEX trail_subjects ON audit.trail USING gin (subjects);
CREATE INDEX trail_actor ON audit.trail (actor, number);

CREATE FUNCTION audit.trail_hash(entry audit.trail) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(entry.previous || convert_to(jsonb_build_array(
        entry.number, (extract(epoch FROM entry.made_at) * 1000000)::bigint, entry.actor, entry.action,
        to_jsonb(entry.subjects), entry.run, entry.detail)::text, 'UTF8'))
$$;

CREATE FUNCTION audit.link_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- One writer at a time, to its commit: the chain has no forks and no gaps.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit.trail', 0));
    SELECT t.number + 1, t.hash INTO new.number, new.previous
    FROM audit.trail t ORDER BY t.number DESC LIMIT 1;
    IF NOT FOUND THEN
        new.number := 1;
        new.previous := sha256('');
    END IF;
    new.hash := audit.trail_hash(new);
    RETURN new;
END $$;
CREATE TRIGGER trail_links BEFORE INSERT ON audit.trail FOR EACH ROW EXECUTE FUNCTION audit.link_trail();

CREATE FUNCTION audit.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%% is append-only', tg_table_name USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER trail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.trail
    FOR EACH STATEMENT EXECUTE FUNCTION audit.append_only();
"""

DOWN = """
DROP TABLE audit.trail CASCADE;
DROP FUNCTION audit.link_trail();
DROP FUNCTION audit.append_only();
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
