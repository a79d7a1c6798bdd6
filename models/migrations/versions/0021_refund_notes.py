"""What each person wrote who brought a refund a step on."""

from alembic import op

revision = "0021"
down_revision = "0020"

UP = "ALTER TABLE finance.refund_timeline ADD COLUMN note_id text"
DOWN = "ALTER TABLE finance.refund_timeline DROP COLUMN note_id"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
