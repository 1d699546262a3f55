"""Add a person's corrections of boxes, and pinned sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; no table is rebuilt, so the search triggers stay."""
    op.add_column("turns", sa.Column("corrections", sa.JSON(none_as_null=True)))
    op.add_column("sessions", sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("sessions", "pinned")
    op.drop_column("turns", "corrections")
