"""The education column's tables, constraints and triggers."""

from alembic import op

revision = "0005"
down_revision = "0004"

UP = """
CREATE TABLE education.courses (
    course_id text PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    title text NOT NULL,
    description text NOT NULL,
    category text NOT NULL,
    level text NOT NULL CHECK (level IN ('beginner', 'intermediate', 'advanced', 'expert')),
    tags text[] NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    currency text NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    owner_id text,
    draft jsonb NOT NULL,
    current_syllabus integer,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK (status <> 'published' OR current_syllabus IS NOT NULL),
    -- Founding document: a course costs 24,000 to 8,00,000 rupees, or nothing.
    CHECK (status <> 'published' OR price = 0 OR price BETWEEN 2400000 AND 80000000)
);
CREATE INDEX courses_offered ON education.courses (course_id DESC) WHERE status = 'published';
CREATE INDEX courses_words ON education.courses
    USING gin (to_tsvector('english', title || ' ' || description));

CREATE TABLE education.course_edits (
    edit_id text PRIMARY KEY,
    course_id text NOT NULL,
    author text NOT NULL,
    body jsonb NOT NULL,
    received_at timestamptz NOT NULL
);

CREATE TABLE education.syllabi (
    course_id text NOT NULL REFERENCES education.courses,
    number integer NOT NULL CHECK (number >= 1),
    access_months integer NOT NULL CHECK (access_months >= 1),
    published_by text NOT NULL,
    published_at timestamptz NOT NULL,
    edit_id text NOT NULL UNIQUE,
    sealed boolean NOT NULL,
    PRIMARY KEY (course_id, number)
);
ALTER TABLE education.courses ADD FOREIGN KEY (course_id, current_syllabus)
    REFERENCES education.syllabi (course_id, number);

CREATE TABLE education.course_modules (
    module_id text PRIMARY KEY,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    place integer NOT NULL,
    title text NOT NULL,
    FOREIGN KEY (course_id, syllabus) REFERENCES education.syllabi (course_id, number),
    UNIQUE (course_id, syllabus, place)
);

CREATE TABLE education.lessons (
    lesson_id text PRIMARY KEY,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    module_id text NOT NULL REFERENCES education.course_modules,
    place integer NOT NULL,
    title text NOT NULL,
    type text NOT NULL CHECK (type IN ('video', 'text', 'quiz', 'assignment')),
    preview boolean NOT NULL,
    content text NOT NULL,
    transcript text,
    media text,
    duration_seconds integer CHECK (duration_seconds > 0),
    market_data_until date,
    FOREIGN KEY (course_id, syllabus) REFERENCES education.syllabi (course_id, number),
    UNIQUE (course_id, syllabus, place)
);

CREATE TABLE education.assessments (
    assessment_id text PRIMARY KEY,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    lesson_id text NOT NULL UNIQUE REFERENCES education.lessons,
    title text NOT NULL,
    pass_percent integer NOT NULL CHECK (pass_percent BETWEEN 1 AND 100),
    attempts_allowed integer NOT NULL CHECK (attempts_allowed >= 1),
    time_limit_seconds integer NOT NULL CHECK (time_limit_seconds >= 1),
    cooling_seconds integer NOT NULL CHECK (cooling_seconds >= 0),
    FOREIGN KEY (course_id, syllabus) REFERENCES education.syllabi (course_id, number)
);

CREATE TABLE education.questions (
    question_id text PRIMARY KEY,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    assessment_id text NOT NULL REFERENCES education.assessments,
    place integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('single', 'multiple', 'numeric', 'text')),
    text text NOT NULL,
    choices jsonb NOT NULL,
    key jsonb NOT NULL,
    points integer NOT NULL CHECK (points >= 1),
    tolerance numeric NOT NULL CHECK (tolerance >= 0),
    FOREIGN KEY (course_id, syllabus) REFERENCES education.syllabi (course_id, number),
    UNIQUE (assessment_id, place)
);

-- A published syllabus is a version that never changes: it is written unsealed, sealed in the same
-- transaction, and from then on neither it nor any part of it may be touched.
CREATE FUNCTION education.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%% of a published syllabus never changes', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION education.keep_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sealed OR TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a published syllabus never changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER syllabi_sealed BEFORE UPDATE OR DELETE ON education.syllabi
    FOR EACH ROW EXECUTE FUNCTION education.keep_sealed();

CREATE FUNCTION education.part_of_unsealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sealed FROM education.syllabi WHERE course_id = NEW.course_id AND number = NEW.syllabus) THEN
        RAISE EXCEPTION 'a published syllabus gets no new part' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION education.must_be_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (SELECT sealed FROM education.syllabi WHERE course_id = NEW.course_id AND number = NEW.number) THEN
        RAISE EXCEPTION 'a syllabus is sealed where it is written' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER syllabi_end_sealed AFTER INSERT ON education.syllabi
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION education.must_be_sealed();

CREATE TRIGGER course_modules_fixed BEFORE UPDATE OR DELETE ON education.course_modules
    FOR EACH ROW EXECUTE FUNCTION education.refuse_change();
CREATE TRIGGER lessons_fixed BEFORE UPDATE OR DELETE ON education.lessons
    FOR EACH ROW EXECUTE FUNCTION education.refuse_change();
CREATE TRIGGER assessments_fixed BEFORE UPDATE OR DELETE ON education.assessments
    FOR EACH ROW EXECUTE FUNCTION education.refuse_change();
CREATE TRIGGER questions_fixed BEFORE UPDATE OR DELETE ON education.questions
    FOR EACH ROW EXECUTE FUNCTION education.refuse_change();
CREATE TRIGGER course_modules_whole BEFORE INSERT ON education.course_modules
    FOR EACH ROW EXECUTE FUNCTION education.part_of_unsealed();
CREATE TRIGGER lessons_whole BEFORE INSERT ON education.lessons
    FOR EACH ROW EXECUTE FUNCTION education.part_of_unsealed();
CREATE TRIGGER assessments_whole BEFORE INSERT ON education.assessments
    FOR EACH ROW EXECUTE FUNCTION education.part_of_unsealed();
CREATE TRIGGER questions_whole BEFORE INSERT ON education.questions
    FOR EACH ROW EXECUTE FUNCTION education.part_of_unsealed();

CREATE TABLE education.enrollments (
    enrollment_id text PRIMARY KEY,
    user_id text NOT NULL,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    status text NOT NULL CHECK (status IN ('awaiting_payment', 'active', 'on_hold', 'completed', 'expired',
        'withdrawn')),
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    payment_id text,
    percent integer NOT NULL CHECK (percent BETWEEN 0 AND 100),
    certificate_id text,
    granted jsonb NOT NULL,
    enrolled_at timestamptz NOT NULL,
    active_at timestamptz,
    access_until timestamptz,
    completed_at timestamptz,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL,
    FOREIGN KEY (course_id, syllabus) REFERENCES education.syllabi (course_id, number),
    CHECK (status <> 'completed' OR (percent = 100 AND certificate_id IS NOT NULL)),
    CHECK (status NOT IN ('active', 'completed') OR access_until IS NOT NULL)
);
CREATE INDEX enrollments_of ON education.enrollments (user_id, enrollment_id DESC);
CREATE UNIQUE INDEX enrollments_one_open ON education.enrollments (user_id, course_id)
    WHERE status NOT IN ('expired', 'withdrawn');

CREATE FUNCTION education.keep_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status IN ('expired', 'withdrawn') AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'an ended enrollment stays ended' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER enrollments_ended BEFORE UPDATE ON education.enrollments
    FOR EACH ROW EXECUTE FUNCTION education.keep_ended();

CREATE TABLE education.lesson_progress (
    enrollment_id text NOT NULL REFERENCES education.enrollments,
    lesson_id text NOT NULL REFERENCES education.lessons,
    seconds_watched integer NOT NULL CHECK (seconds_watched >= 0),
    completed_at timestamptz,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (enrollment_id, lesson_id)
);

CREATE TABLE education.attempts (
    attempt_id text PRIMARY KEY,
    enrollment_id text NOT NULL REFERENCES education.enrollments,
    assessment_id text NOT NULL REFERENCES education.assessments,
    number integer NOT NULL CHECK (number >= 1),
    status text NOT NULL CHECK (status IN ('open', 'graded', 'lapsed')),
    began_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    submission_id text,
    submitted_at timestamptz,
    score integer CHECK (score BETWEEN 0 AND 100),
    passed boolean NOT NULL,
    UNIQUE (enrollment_id, assessment_id, number),
    CHECK ((status = 'graded') = (score IS NOT NULL)),
    CONSTRAINT attempts_in_time CHECK (submitted_at <= ends_at)
);
CREATE UNIQUE INDEX attempts_one_open ON education.attempts (enrollment_id, assessment_id)
    WHERE status = 'open';

CREATE TABLE education.submissions (
    submission_id text PRIMARY KEY,
    attempt_id text NOT NULL,
    user_id text NOT NULL,
    answers bytea NOT NULL,
    received_at timestamptz NOT NULL
);

CREATE TABLE education.certificates (
    certificate_id text PRIMARY KEY,
    enrollment_id text NOT NULL UNIQUE REFERENCES education.enrollments,
    user_id text NOT NULL,
    course_id text NOT NULL,
    syllabus integer NOT NULL,
    course_title text NOT NULL,
    holder bytea NOT NULL,
    credential text NOT NULL,
    issued_at timestamptz NOT NULL,
    revoked_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX certificates_of ON education.certificates (user_id, certificate_id DESC);

CREATE TABLE education.video_days (
    user_id text NOT NULL,
    day date NOT NULL,
    seconds integer NOT NULL CHECK (seconds >= 0),
    PRIMARY KEY (user_id, day)
);
CREATE TABLE education.video_grants (
    user_id text NOT NULL,
    day date NOT NULL,
    lesson_id text NOT NULL REFERENCES education.lessons,
    seconds integer NOT NULL,
    PRIMARY KEY (user_id, day, lesson_id)
);
"""

DOWN = """
DROP TABLE education.video_grants, education.video_days, education.certificates, education.submissions,
    education.attempts, education.lesson_progress, education.enrollments, education.questions,
    education.assessments, education.lessons, education.course_modules, education.syllabi,
    education.course_edits, education.courses CASCADE;
DROP FUNCTION education.keep_ended, education.must_be_sealed, education.part_of_unsealed,
    education.keep_sealed, education.refuse_change;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
