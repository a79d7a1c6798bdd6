"""The onboarding column's tables, constraints and triggers."""

from alembic import op

revision = "0003"
down_revision = "0002"

UP = """
CREATE TABLE user_management.kyc_submissions (
    submission_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    tier text NOT NULL CHECK (tier IN ('basic', 'intermediate', 'advanced')),
    consent_id text NOT NULL REFERENCES user_management.consents,
    data bytea NOT NULL,
    aadhaar_file bytea NOT NULL,
    aadhaar_record bytea,
    pan_index bytea NOT NULL,
    made_at timestamptz NOT NULL
);
CREATE INDEX kyc_submissions_user ON user_management.kyc_submissions (user_id, made_at);
CREATE INDEX kyc_submissions_pan ON user_management.kyc_submissions (pan_index);

CREATE TABLE user_management.kyc_documents (
    submission_id text NOT NULL REFERENCES user_management.kyc_submissions,
    number smallint NOT NULL,
    type text NOT NULL,
    issued_on date,
    content bytea NOT NULL,
    PRIMARY KEY (submission_id, number)
);

-- One row a customer: where the KYC stands, as everyone else reads it.
CREATE TABLE user_management.kyc_status (
    user_id text PRIMARY KEY REFERENCES user_management.users,
    status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'action_required', 'manual_review',
        'verified', 'rejected', 'expired')),
    tier text CHECK (tier IN ('basic', 'intermediate', 'advanced')),
    submission_id text REFERENCES user_management.kyc_submissions,
    reason_code text,
    legal_name bytea,
    pan_index bytea,
    verified_at timestamptz,
    expires_at timestamptz,
    risk_score smallint CHECK (risk_score BETWEEN 0 AND 100),
    list_version text,
    screened_at timestamptz,
    frozen_at timestamptz,
    moves bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK (tier IS NULL OR (verified_at IS NOT NULL AND expires_at IS NOT NULL AND legal_name IS NOT NULL)),
    CHECK (status <> 'verified' OR tier IS NOT NULL),
    CHECK (status NOT IN ('rejected', 'expired') OR tier IS NULL)
);
CREATE INDEX kyc_status_screened ON user_management.kyc_status (list_version, user_id) WHERE tier IS NOT NULL;
CREATE INDEX kyc_status_pan ON user_management.kyc_status (pan_index) WHERE tier IS NOT NULL;

CREATE TABLE user_management.kyc_steps (
    submission_id text NOT NULL REFERENCES user_management.kyc_submissions,
    step text NOT NULL CHECK (step IN ('document_verification', 'identity_verification', 'aml_screening',
        'sanctions_screening')),
    result text NOT NULL CHECK (result IN ('passed', 'flagged', 'action_required', 'rejected')),
    codes text[] NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (submission_id, step)
);

-- A paid check: the row says `sending` before the socket and `sent` after the answer.
CREATE TABLE user_management.kyc_checks (
    reference text PRIMARY KEY,
    submission_id text NOT NULL REFERENCES user_management.kyc_submissions,
    kind text NOT NULL CHECK (kind IN ('pan', 'face')),
    state text NOT NULL CHECK (state IN ('sending', 'sent')),
    answer jsonb CHECK ((state = 'sent') = (answer IS NOT NULL)),
    made_at timestamptz NOT NULL,
    answered_at timestamptz
);

CREATE TABLE user_management.kyc_hits (
    user_id text NOT NULL REFERENCES user_management.users,
    entry_id text NOT NULL,
    list_version text NOT NULL,
    programme text NOT NULL,
    score smallint NOT NULL,
    name bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'cleared', 'confirmed')),
    found_at timestamptz NOT NULL,
    decided_by text,
    decided_at timestamptz,
    PRIMARY KEY (user_id, entry_id)
);

CREATE TABLE user_management.kyc_cases (
    case_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    submission_id text REFERENCES user_management.kyc_submissions,
    reason text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'awaiting_second', 'escalated', 'approved', 'rejected',
        'information_requested', 'withdrawn')),
    risk_score smallint,
    opened_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    escalated_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    note_id text,
    first_by text CHECK (first_by <> decided_by),
    version bigint NOT NULL DEFAULT 1,
    CHECK (decided_by IS DISTINCT FROM user_id)
);
CREATE UNIQUE INDEX kyc_cases_open ON user_management.kyc_cases (user_id) WHERE decided_at IS NULL;
CREATE INDEX kyc_cases_due ON user_management.kyc_cases (opened_at DESC, case_id);

CREATE TABLE user_management.compliance_alerts (
    alert_id text PRIMARY KEY,
    kind text NOT NULL,
    user_id text NOT NULL,
    reference text NOT NULL,
    made_at timestamptz NOT NULL,
    report_by date
);

CREATE TABLE user_management.complaints (
    complaint_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES user_management.users,
    subject bytea NOT NULL,
    text bytea NOT NULL,
    about text,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'escalated', 'resolved')),
    note_id text,
    version bigint NOT NULL DEFAULT 1
);
"""

DOWN = """
DROP TABLE user_management.complaints;
DROP TABLE user_management.compliance_alerts;
DROP TABLE user_management.kyc_cases;
DROP TABLE user_management.kyc_hits;
DROP TABLE user_management.kyc_checks;
DROP TABLE user_management.kyc_steps;
DROP TABLE user_management.kyc_status;
DROP TABLE user_management.kyc_documents;
DROP TABLE user_management.kyc_submissions;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
