"""The base of all dataset readers: streams of rows, and errors that name the broken row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import ijson
from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import DataError, first_line
from ...tasks import Task
from ..records import ImageReference, Record, TaskTurn
from ..skipped_rows import RowImageError, SkippedRows, first_error

Parsed = TypeVar("Parsed")

DEEPEST = 100
"""The levels of JSON that are read; published files have fewer than ten."""


@dataclass(frozen=True)
class Row:
    """One row as published, and its place for error messages."""

    where: str
    content: Any


class Published(BaseModel):
    """Base of published rows: validates the declared fields and ignores all others."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Source(Protocol):
    """A dataset on disk, read row by row."""

    def files(self) -> list[Path]:
        """Return the annotation files."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows; an error ends the stream."""

    def records(self, content: Any) -> Iterable[Record]:
        """Return the records of one row; an error concerns that row alone."""


@dataclass(frozen=True)
class LinesFile:
    """Base of sources that are one JSONL file; a row is an unparsed line."""

    path: Path

    def files(self) -> list[Path]:
        """Return the file."""
        return [self.path]

    def rows(self) -> Iterator[Row]:
        """Yield the lines."""
        return line_rows(self.path)


@dataclass(frozen=True)
class SplitFile:
    """Base of sources that are one JSON file for each split, with their images in a folder.

    `file` is its name, with a place for the split; `items` is the key of its rows, "" for an outermost array.
    """

    file: ClassVar[str]
    items: ClassVar[str] = ""
    path: Path
    pictures: Path
    split: str = "train"

    def files(self) -> list[Path]:
        """Return the file."""
        return [self.path / self.file.format(split=self.split)]

    def rows(self) -> Iterator[Row]:
        """Yield the items."""
        return json_rows(self.files()[0], self.items)


def read_records(source: Source, skipped: SkippedRows | None = None) -> Iterator[Record]:
    """Yield the records of a dataset whose images exist.

    A broken row is an error, or it is added to `skipped`.

    Raises:
        DataError: a row or file is invalid; the error names file, row and field.
    """
    seen: ImageReference | None = None
    for row in source.rows():
        try:
            records = list(parse_row(row, source.records))
            for image in {record.picture for record in records} - {seen, None}:
                seen = _existing(image, row.where)
        except DataError as error:
            if skipped is None:
                raise
            skipped.add(error)
            continue
        yield from records


def parse_row(row: Row, reader: Callable[[Any], Iterable[Parsed]]) -> Iterator[Parsed]:
    """Yield the results of a reader for one row; errors name the row.

    Raises:
        DataError: the row is invalid.
    """
    try:
        yield from reader(row.content)
    except RowImageError as error:
        raise RowImageError(f"{row.where}: {error}", error.path) from error
    except ValidationError as error:
        raise DataError(f"{row.where}: {first_error(error)}") from error
    except (ValueError, LookupError, ArithmeticError, TypeError) as error:
        raise DataError(f"{row.where}: {first_line(error)}") from error


def _existing(image: ImageReference | None, where: str) -> ImageReference | None:
    if image is not None and not Path(image.path).is_file():
        raise RowImageError(f"{where}: there is no image {image.path}", Path(image.path))
    return image


def require(path: Path) -> Path:
    """Return the path if it exists.

    Raises:
        DataError: it does not.
    """
    if not path.exists():
        raise DataError(f"no {path}: is the data there, in its published layout?")
    return path


def json_rows(path: Path, prefix: str) -> Iterator[Row]:
    """Stream the items of a JSON array: the outermost one for `""`, or the one under a key.

    Raises:
        DataError: the file is missing or not JSON.
    """
    place = f"{prefix}.item" if prefix else "item"
    yield from _parsed(path, lambda events: ijson.items(events, place))


def json_index(path: Path, prefix: str, key: str, keep: Sequence[str]) -> dict[Any, dict[str, Any]]:
    """Index the items of an array by a field, keeping some of their fields in memory.

    Raises:
        DataError: the file is missing or not JSON, or an item has no number or text under the key.
    """
    index = {}
    for row in json_rows(path, prefix):
        if not isinstance(row.content, dict) or key not in row.content:
            raise DataError(f"{row.where}: {key}: Field required")
        if not isinstance(row.content[key], int | float | str):
            raise DataError(f"{row.where}: {key}: must be a number or text")
        index[row.content[key]] = {name: row.content[name] for name in keep if name in row.content}
    return index


def json_pairs(path: Path) -> Iterator[Row]:
    """Stream the `(key, value)` pairs of the object in a JSON file.

    Raises:
        DataError: the file is missing or not JSON.
    """
    yield from _parsed(path, lambda events: ijson.kvitems(events, ""))


def _parsed(path: Path, values: Callable[[Iterator[Any]], Iterable[Any]]) -> Iterator[Row]:
    number = 0
    with require(path).open("rb") as file:
        events = ijson.parse(_shallow(path, ijson.basic_parse(file, use_float=True)))
        try:
            for number, item in enumerate(values(events), start=1):
                yield Row(f"{path}, row {number}", item)
        except ijson.JSONError as error:
            raise DataError(f"{path}: not JSON after row {number}: {first_line(error)}") from error
    if number == 0:
        raise DataError(f"{path} holds no rows: is it the published file?")


def _shallow(path: Path, events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield parsing events up to `DEEPEST`: ijson keeps the path to each value, gigabytes for deep arrays."""
    depth = 0
    for event in events:
        if event[0] in ("start_map", "start_array"):
            depth += 1
            if depth > DEEPEST:
                raise DataError(
                    f"{path}: its JSON is more than {DEEPEST} levels deep: is it the published file?"
                )
        elif event[0] in ("end_map", "end_array"):
            depth -= 1
        yield event


def line_rows(path: Path) -> Iterator[Row]:
    """Yield the unparsed lines of a JSONL file, so that an invalid line breaks only its own row."""
    with require(path).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            yield Row(f"{path}:{number}", line)


def parse_line(line: bytes) -> Any:
    """Return the JSON of a line.

    Raises:
        ValueError: it is not JSON, repeats a key, or holds half a surrogate pair.
    """
    try:
        content = json.loads(line, object_pairs_hook=_with_each_key_once)
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{error.object[error.start]!a} is half a surrogate pair: remove it") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    return content


def _with_each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        name, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the key {name!r} twice: remove one")
    return content


def answered(question: str, answers: Sequence[str], *, every: bool) -> TaskTurn:
    """Return a question with every answer, or with the most frequent one, the first on a tie."""
    if not answers:
        raise ValueError("answers: there are none")
    if every:
        return TaskTurn(Task.VQA, question, answers[0], further=tuple(answers[1:]))
    return TaskTurn(Task.VQA, question, Counter(answers).most_common(1)[0][0])
