"""Search turns by words, with the full-text index of SQLite or PostgreSQL, or else by substring."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, inspect, literal_column, null, or_, select, text
from sqlalchemy.engine import Connection

from .records import SearchHit
from .schema import SEARCH_TABLE, sessions, turns

# The expression that PostgreSQL indexes (migration 0006); queries must repeat it exactly.
_POSTGRESQL_WORDS = (
    """to_tsvector('simple', translate(left(turns."user" || ' ' || turns.answer, 100000), """
    """'!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32)))"""
)

_WORD = re.compile(r"[^\W_]+")
# Scripts without spaces between words: the index has no entries for words within a run of text.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
# PostgreSQL rejects words of more than 2046 bytes.
_LONGEST_WORD = 500
_SNIPPET_WORDS = 12  # in SQLite's snippet
_SNIPPET_MARGIN = 40  # characters on each side, in other snippets


def find(connection: Connection, words: str, limit: int, allowed: ColumnElement[bool]) -> list[SearchHit]:
    """Return the newest turns whose question and answer contain every word of `words`, or its prefix.

    `allowed` is a condition on the sessions.
    """
    terms = words.split()
    if not terms:
        return []
    query = _matching(connection, words) if _is_indexable(words) else None
    if query is None:
        query = _containing(terms)
    newest = query.where(allowed).order_by(turns.c.created.desc(), turns.c.id.desc()).limit(limit)
    return [_hit(row, terms) for row in connection.execute(newest)]


def _is_indexable(words: str) -> bool:
    found = _WORD.findall(words)
    return bool(found) and not _UNSPACED.search(words) and max(map(len, found)) <= _LONGEST_WORD


def _hit(row: Row[Any], terms: list[str]) -> SearchHit:
    snippet = row.snippet or _cut(f"{row.user}\n{row.answer}", terms)
    return SearchHit(row.session_id, row.title, row.number, snippet, row.created)


def _matching(connection: Connection, words: str) -> Select[Any] | None:
    """Return the query of the database's index, None if it has none."""
    found = _WORD.findall(words)
    if connection.dialect.name == "postgresql":
        condition = text(f"{_POSTGRESQL_WORDS} @@ to_tsquery('simple', :expression)")
        expression = " & ".join(f"'{word}':*" for word in found)
        return _select(null()).where(condition.bindparams(expression=expression))
    if not inspect(connection).has_table(SEARCH_TABLE):
        return None
    snippet: ColumnElement[str] = literal_column(
        f"snippet({SEARCH_TABLE}, -1, '', '', '…', {_SNIPPET_WORDS})"
    )
    expression = " ".join(f'"{word}"*' for word in found)  # quoted, so that words are not syntax
    return (
        _select(snippet)
        .join(text(SEARCH_TABLE), literal_column(f"{SEARCH_TABLE}.rowid") == turns.c.id)
        .where(text(f"{SEARCH_TABLE} MATCH :expression").bindparams(expression=expression))
    )


def _containing(terms: list[str]) -> Select[Any]:
    texts = (turns.c.user, turns.c.answer)
    found = [or_(*(column.icontains(term, autoescape=True) for column in texts)) for term in terms]
    return _select(null()).where(and_(*found))


def _select(snippet: ColumnElement[Any]) -> Select[Any]:
    return select(
        turns.c.session_id,
        turns.c.number,
        turns.c.user,
        turns.c.answer,
        turns.c.created,
        sessions.c.title,
        snippet.label("snippet"),
    ).join_from(turns, sessions)


def _cut(content: str, terms: list[str]) -> str:
    """Return the part of `content` around the first match."""
    places = [content.lower().find(term.lower()) for term in terms]
    place = min((place for place in places if place >= 0), default=0)
    start, end = max(0, place - _SNIPPET_MARGIN), place + _SNIPPET_MARGIN
    return ("…" if start else "") + content[start:end].strip() + ("…" if end < len(content) else "")
