"""Add the owner of a session and its read-only link."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; no table is rebuilt, so the search triggers stay."""
    op.add_column("sessions", sa.Column("owner", sa.String(255)))
    op.add_column("sessions", sa.Column("link", sa.String(64)))
    op.create_index("ix_sessions_owner", "sessions", ["owner"])
    op.create_index("ix_sessions_link", "sessions", ["link"], unique=True)


def downgrade() -> None:
    """Drop the columns with their indexes."""
    for column in ("link", "owner"):
        op.drop_index(f"ix_sessions_{column}", "sessions")
        op.drop_column("sessions", column)
