"""The identity column's tables, constraints and triggers."""

from alembic import op

revision = "0002"
down_revision = "0001"

UP = """
CREATE TABLE user_management.users (
    user_id text PRIMARY KEY,
    email_index bytea,
    email bytea NOT NULL,
    phone_index bytea,
    phone bytea NOT NULL,
    password_hash text NOT NULL,
    email_verified_at timestamptz,
    phone_verified_at timestamptz,
    kyc_status text NOT NULL DEFAULT 'pending'
        CHECK (kyc_status IN ('pending', 'verified', 'rejected', 'expired')),
    risk_score smallint CHECK (risk_score BETWEEN 0 AND 100),
    aml_status text,
    sanctions_check_date timestamptz,
    pep_status boolean,
    totp_secret bytea,
    totp_pending bytea,
    totp_activated_at timestamptz,
    totp_counter bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL DEFAULT 1
);
-- A mail or phone names one living account; erasing an account clears its indexes.
CREATE UNIQUE INDEX users_email ON user_management.users (email_index);
CREATE UNIQUE INDEX users_phone ON user_management.users (phone_index);

CREATE TABLE user_management.user_profiles (
    user_id text PRIMARY KEY REFERENCES user_management.users,
    data bytea NOT NULL,
    preferences jsonb NOT NULL DEFAULT '{}',
    family bytea,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);

CREATE TABLE user_management.codes (
    subject_id text NOT NULL,
    purpose text NOT NULL,
    code_hash bytea NOT NULL,
    payload bytea,
    tries integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (subject_id, purpose)
);

CREATE TABLE user_management.sessions (
    session_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    device bytea,
    fingerprint bytea,
    made_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_open ON user_management.sessions (user_id, session_id) WHERE ended_at IS NULL;

CREATE TABLE user_management.refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id text NOT NULL REFERENCES user_management.sessions,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz,
    successor bytea,
    voided_at timestamptz
);
CREATE INDEX refresh_tokens_session ON user_management.refresh_tokens (session_id);

-- Failed sign-ins by blind index, whether or not an account has the mail: a lock tells nothing.
CREATE TABLE user_management.sign_in_failures (
    email_index bytea PRIMARY KEY,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    locked_until timestamptz
);

CREATE TABLE user_management.recovery_codes (
    user_id text NOT NULL REFERENCES user_management.users,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE user_management.api_keys (
    api_key_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    name bytea NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    made_at timestamptz NOT NULL,
    expires_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX api_keys_owner ON user_management.api_keys (user_id);

CREATE TABLE user_management.roles (
    role text PRIMARY KEY,
    permissions text[] NOT NULL
);
INSERT INTO user_management.roles (role, permissions) VALUES
    ('admin', '{roles.grant,roles.end,runs.steer}'),
    ('compliance', '{kyc.decide,audit.read,performance.verify}'),
    ('finance', '{refunds.approve,breaks.resolve,ledger.read,periods.close}'),
    ('analyst', '{signals.write}'),
    ('instructor', '{courses.write}'),
    ('support', '{people.search,audit.read,refunds.request}');

CREATE TABLE user_management.user_roles (
    user_id text NOT NULL REFERENCES user_management.users,
    role text NOT NULL REFERENCES user_management.roles,
    granted_by text NOT NULL,
    granted_at timestamptz NOT NULL,
    expires_at timestamptz,
    ended_by text,
    ended_at timestamptz,
    PRIMARY KEY (user_id, role, granted_at)
);
CREATE UNIQUE INDEX user_roles_held ON user_management.user_roles (user_id, role) WHERE ended_at IS NULL;

-- A consent is never changed: withdrawing one is a fact of its own beside it.
CREATE TABLE user_management.consents (
    consent_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    purpose text NOT NULL CHECK (purpose IN ('kyc', 'research_services', 'marketing')),
    document text NOT NULL,
    document_version text NOT NULL,
    given_at timestamptz NOT NULL,
    withdrawn_at timestamptz
);
CREATE UNIQUE INDEX consents_held ON user_management.consents (user_id, purpose, document, document_version)
    WHERE withdrawn_at IS NULL;

CREATE TABLE platform.idempotency_keys (
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (actor, route, key)
);

CREATE TABLE platform.messages (
    message_id text PRIMARY KEY,
    person_id text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    recipient bytea NOT NULL,
    subject bytea NOT NULL,
    text bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    sent_at timestamptz
);
CREATE INDEX messages_due ON platform.messages (due_at) WHERE sent_at IS NULL;
"""

DOWN = """
DROP TABLE platform.messages;
DROP TABLE platform.idempotency_keys;
DROP TABLE user_management.consents;
DROP TABLE user_management.user_roles;
DROP TABLE user_management.roles;
DROP TABLE user_management.api_keys;
DROP TABLE user_management.recovery_codes;
DROP TABLE user_management.sign_in_failures;
DROP TABLE user_management.refresh_tokens;
DROP TABLE user_management.sessions;
DROP TABLE user_management.codes;
DROP TABLE user_management.user_profiles;
DROP TABLE user_management.users;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
