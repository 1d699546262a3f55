"""Create the tables of sessions, images, turns, steps and boxes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_updated", "sessions", ["updated"])
    op.create_table(
        "images",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("awaited", sa.DateTime),
        sa.PrimaryKeyConstraint("sha256", name="pk_images"),
    )
    _create_turns()
    _create_steps()
    _create_boxes()


def downgrade() -> None:
    """Drop the tables, children first."""
    for table in ("boxes", "steps", "turns", "images", "sessions"):
        op.drop_table(table)


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("region", sa.JSON),
        sa.Column("image", sa.String(64)),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("feedback", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.UniqueConstraint("session_id", "number", name="uq_turns_session_id_number"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_turns_session_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["image"], ["images.sha256"], name="fk_turns_image"),
        sa.CheckConstraint("feedback IN (-1, 0, 1)", name=op.f("ck_turns_feedback")),
    )
    op.create_index("ix_turns_image", "turns", ["image"])


def _create_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("turn_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("argument", sa.Text, nullable=False),
        sa.Column("region", sa.JSON),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("turn_id", "position", name="pk_steps"),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name="fk_steps_turn_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )


def _create_boxes() -> None:
    op.create_table(
        "boxes",
        sa.Column("turn_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("step_position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("phrase_position", sa.Integer, nullable=False),
        sa.Column("phrase", sa.Text, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        *(sa.Column(corner, sa.Integer, nullable=False) for corner in ("x0", "y0", "x1", "y1")),
        sa.Column("score", sa.Float),
        sa.PrimaryKeyConstraint("turn_id", "step_position", "position", name="pk_boxes"),
        sa.ForeignKeyConstraint(
            ["turn_id", "step_position"],
            ["steps.turn_id", "steps.position"],
            name="fk_boxes_turn_id_step_position",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "0 <= x0 AND x0 <= x1 AND x1 <= 100 AND 0 <= y0 AND y0 <= y1 AND y1 <= 100",
            name=op.f("ck_boxes_bins"),
        ),
        sa.CheckConstraint("0 <= score AND score <= 1", name=op.f("ck_boxes_score")),
        sqlite_with_rowid=False,
    )
