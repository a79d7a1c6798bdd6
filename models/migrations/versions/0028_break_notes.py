"""What each person wrote who decided a break or gave a claim up, and not the last one's words alone."""

from alembic import op

revision = "0028"
down_revision = "0027"

UP = """
ALTER TABLE finance.breaks ADD COLUMN note_ids text[] NOT NULL DEFAULT '{}',
    ADD COLUMN claim_note_ids text[] NOT NULL DEFAULT '{}';
UPDATE finance.breaks SET note_ids = array_remove(ARRAY[note_id], NULL),
    claim_note_ids = array_remove(ARRAY[claim_note_id], NULL);
ALTER TABLE finance.breaks DROP COLUMN note_id, DROP COLUMN claim_note_id;
"""
DOWN = """
ALTER TABLE finance.breaks ADD COLUMN note_id text, ADD COLUMN claim_note_id text;
UPDATE finance.breaks SET note_id = note_ids[cardinality(note_ids)],
    claim_note_id = claim_note_ids[cardinality(claim_note_ids)];
ALTER TABLE finance.breaks DROP COLUMN note_ids, DROP COLUMN claim_note_ids;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
