"""JSON documents with some of their values changed for others of any kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

# What breaks a reader that expects something milder.
_EXTREMES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    10**30,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "0",
    "\0",
    "\x1b[2J",
    "é\u202e\U0001f436",
    "../../etc/passwd",
    "x" * 5000,
    [],
    {},
    [[]],
    {"auto_map": {"AutoTokenizer": ["payload.Tokenizer", None]}},
)

json_values = st.one_of(
    st.sampled_from(_EXTREMES),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=8,
    ),
)


@st.composite
def changed(draw: st.DrawFn, document: Any, changes: int = 3) -> bytes:
    """Return the document as JSON with up to `changes` values replaced, left out, added or moved."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, changes))):
        places = list(_places(document))
        if not places:
            break
        part, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("replace", "replace", "leave out", "add", "move")))
        if how == "leave out":
            del part[key]
        elif how == "move":
            source, name = draw(st.sampled_from(places))
            part[key] = copy.deepcopy(source[name])
        elif how == "add" and isinstance(part, dict):
            part[draw(st.text(max_size=12))] = copy.deepcopy(draw(json_values))
        else:
            part[key] = copy.deepcopy(draw(json_values))
    # As its escapes, so that half of a surrogate pair can be written too.
    return json.dumps(document).encode()


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every part that holds others, with each of its keys."""
    if isinstance(document, dict | list):
        for key in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _places(document[key])


__all__ = ["changed", "json_values"]
