"""When a broker's session began by the broker's own clock: how long it lives is no question of ours."""

from alembic import op

revision = "0031"
down_revision = "0030"

UP = """
ALTER TABLE trading.accounts ADD COLUMN session_began_at timestamptz;
UPDATE trading.accounts SET session_began_at = connected_at WHERE session_expires_at IS NOT NULL;
"""
DOWN = """
ALTER TABLE trading.accounts DROP COLUMN session_began_at;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
