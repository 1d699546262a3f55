"""Add a full-text index of questions and answers; PostgreSQL only."""

from alembic import op

revision = "0006"
down_revision = "0005"

# PostgreSQL's parser would keep `cat/dog` as the name of a file, so punctuation becomes space; an index entry
# has a greatest size, hence `left`. Queries repeat the expression (`storage/search.py`).
_WORDS = (
    """to_tsvector('simple', translate(left("user" || ' ' || answer, 100000), """
    """'!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32)))"""
)


def upgrade() -> None:
    """Create the index."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE INDEX ix_turns_search ON turns USING gin ({_WORDS})")


def downgrade() -> None:
    """Drop the index."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX ix_turns_search")
