"""Add a full-text index of questions and answers, maintained by triggers; SQLite only (FTS5).

Other databases are searched without an index. A later migration that rebuilds the table `turns` drops the
triggers and must create them again; the index stays valid if the ids do not change.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_DELETE = (
    "INSERT INTO turns_search(turns_search, rowid, user, answer) "
    "VALUES ('delete', old.id, old.user, old.answer);"
)
_INSERT = "INSERT INTO turns_search(rowid, user, answer) VALUES (new.id, new.user, new.answer);"


def upgrade() -> None:
    """Create the index and its triggers, and index the existing turns."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(
        "CREATE VIRTUAL TABLE turns_search USING fts5("
        "user, answer, content='turns', content_rowid='id', tokenize='unicode61 remove_diacritics 2')"
    )
    op.execute(f"CREATE TRIGGER turns_search_insert AFTER INSERT ON turns BEGIN {_INSERT} END")
    op.execute(f"CREATE TRIGGER turns_search_delete AFTER DELETE ON turns BEGIN {_DELETE} END")
    op.execute(
        "CREATE TRIGGER turns_search_update AFTER UPDATE OF user, answer ON turns "
        f"BEGIN {_DELETE} {_INSERT} END"
    )
    op.execute("INSERT INTO turns_search(turns_search) VALUES ('rebuild')")


def downgrade() -> None:
    """Drop the triggers and the index."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER turns_search_{event}")
    op.execute("DROP TABLE turns_search")
