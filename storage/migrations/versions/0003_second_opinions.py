"""Add the reason of a turn's plan, whether it was stopped, and the verification of boxes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; no table is rebuilt, so the search triggers stay."""
    op.add_column("turns", sa.Column("why", sa.Text, nullable=False, server_default=""))
    op.add_column("turns", sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("boxes", sa.Column("agrees", sa.Boolean))
    op.add_column("boxes", sa.Column("opinion", sa.Text))


def downgrade() -> None:
    """Drop the columns."""
    for table, column in (("boxes", "opinion"), ("boxes", "agrees"), ("turns", "stopped"), ("turns", "why")):
        op.drop_column(table, column)
