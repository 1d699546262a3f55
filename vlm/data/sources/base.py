"""What every reader of a data set has in common: a stream of rows, and one line about a broken one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import ijson
from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import DataError
from ..records import ImageReference, Record
from ..skipped_rows import RowImageError, SkippedRows, first_error

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Row:
    """One row as it was published, and where it stands, for messages."""

    where: str
    content: Any


class Published(BaseModel):
    """Base of the published rows: fields that are named are checked, the others are of no use here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Source(Protocol):
    """A data set on disk, read row by row."""

    def files(self) -> list[Path]:
        """Return the files that hold the annotations."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows; an error ends them."""
        ...

    def records(self, content: Any) -> Iterable[Record]:
        """Return the records of one row; whatever it raises concerns that row alone."""
        ...


@dataclass(frozen=True)
class LinesFile:
    """Base of the sources that are one JSONL file: a row is a line, not parsed yet."""

    path: Path

    def files(self) -> list[Path]:
        """Return the file."""
        return [self.path]

    def rows(self) -> Iterator[Row]:
        """Yield the lines."""
        return line_rows(self.path)


def read_records(source: Source, skipped: SkippedRows | None = None) -> Iterator[Record]:
    """Yield the records of a data set, each picture known to be there.

    A broken row is an error, or it is left out and counted in `skipped`.

    Raises:
        DataError: a row or file is not in the published form: file, row and field are named.
    """
    seen: ImageReference | None = None
    for row in source.rows():
        try:
            records = list(parse_row(row, source.records))
            for picture in {record.picture for record in records} - {seen, None}:
                seen = _existing(picture, row.where)
        except DataError as error:
            if skipped is None:
                raise
            skipped.add(error)
            continue
        yield from records


def parse_row(row: Row, reader: Callable[[Any], Iterable[Parsed]]) -> Iterator[Parsed]:
    """Yield what a reader makes of one row; what it raises names the row.

    Raises:
        DataError: the row is not in the published form.
    """
    try:
        yield from reader(row.content)
    except RowImageError as error:
        raise RowImageError(f"{row.where}: {error}", error.path) from error
    except ValidationError as error:
        raise DataError(f"{row.where}: {first_error(error)}") from error
    except (ValueError, LookupError, ArithmeticError, TypeError) as error:
        detail, *_ = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"{row.where}: {detail}") from error


def _existing(picture: ImageReference | None, where: str) -> ImageReference | None:
    if picture is not None and not Path(picture.path).is_file():
        raise RowImageError(f"{where}: there is no picture {picture.path}", Path(picture.path))
    return picture


def require(path: Path) -> Path:
    """Return the path of a file or folder of the published layout.

    Raises:
        DataError: it is not there.
    """
    if not path.exists():
        raise DataError(f"no {path}: is this where the data lies, in the layout it is published in?")
    return path


def json_rows(path: Path, prefix: str) -> Iterator[Row]:
    """Yield the items of an array in a JSON file as they are read: `""` for the outermost, or its key.

    Raises:
        DataError: there is no such file, or it is no JSON.
    """
    place = f"{prefix}.item" if prefix else "item"
    yield from _parsed(path, lambda file: ijson.items(file, place, use_float=True))


def json_index(path: Path, prefix: str, key: str, keep: Sequence[str]) -> dict[Any, dict[str, Any]]:
    """Return some fields of an array's items by the value of one of them; this much is held in memory.

    Raises:
        DataError: there is no such file, it is no JSON, or an item lacks the key or has another thing there.
    """
    index = {}
    for row in json_rows(path, prefix):
        if not isinstance(row.content, dict) or key not in row.content:
            raise DataError(f"{row.where}: {key}: Field required")
        if not isinstance(row.content[key], int | float | str):
            raise DataError(f"{row.where}: {key}: a number or text is wanted")
        index[row.content[key]] = {name: row.content[name] for name in keep if name in row.content}
    return index


def json_pairs(path: Path) -> Iterator[Row]:
    """Yield the `(key, value)` pairs of the object that a JSON file holds.

    Raises:
        DataError: there is no such file, or it is no JSON.
    """
    yield from _parsed(path, lambda file: ijson.kvitems(file, "", use_float=True))


def _parsed(path: Path, parse: Any) -> Iterator[Row]:
    number = 0
    with require(path).open("rb") as file:
        try:
            for number, item in enumerate(parse(file), start=1):
                yield Row(f"{path}, row {number}", item)
        except ijson.JSONError as error:
            detail = str(error).strip().splitlines()[0]
            raise DataError(f"{path}: no JSON after row {number}: {detail}") from error
    if number == 0:
        raise DataError(f"{path} holds no row: is it the file that was published under this name?")


def line_rows(path: Path) -> Iterator[Row]:
    """Yield the lines of a JSONL file, not parsed yet, so that one that is no JSON concerns itself alone."""
    with require(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            yield Row(f"{path}:{number}", line)


def parse_line(line: bytes) -> Any:
    """Return the JSON of a line.

    Raises:
        ValueError: it is no JSON, has a key twice, or holds half a character, which no file can.
    """
    try:
        content = json.loads(line, object_pairs_hook=_with_each_key_once)
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half a character, {error.object[error.start]!a}, cannot be learnt") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    return content


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        name, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {name!r} stands twice in one object, and only one of them would count")
    return content


def majority(answers: Sequence[str]) -> str:
    """Return the answer that most people gave, the first of those where several are as frequent."""
    if not answers:
        raise ValueError("answers: there is none")
    return Counter(answers).most_common(1)[0][0]


__all__ = ["LinesFile", "Published", "Row", "Source", "json_index", "json_pairs", "json_rows", "line_rows"]
__all__ += ["majority", "parse_line", "parse_row", "read_records", "require"]
