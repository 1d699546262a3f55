"""Measure the storage of sessions: 500 turns in a SQLite file.

Run `python benchmarks/storage.py [--turns N] [--out FILE]`. Times are wall-clock milliseconds, the median of
several runs; a turn has an image, two steps and three boxes.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from figures import arguments, publish
from PIL import Image

from assistant.storage import NewTurn, SessionStore, StoredImage, StoredStep
from assistant.vlm.grounding import Box, GroundedPhrase

RUNS = 15
SEGMENT = 100  # turns


def median_milliseconds(action: Callable[[], object]) -> float:
    """Return the median time of `RUNS` runs."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 2)


def open_and_close(database: Path) -> None:
    """Open and close the store, as every command does."""
    SessionStore.open(database).close()


def example_turn(number: int, image: StoredImage) -> NewTurn:
    """Return a typical turn."""
    question = f"Question {number}: where is the man in the red coat, and what is he holding in his hand?"
    answer = f"Answer {number}: the man in the red coat stands on the left and holds a blue umbrella."
    phrases = (
        GroundedPhrase("the man in the red coat", (Box(12, 30, 35, 92, 0.83),), 10),
        GroundedPhrase("a blue umbrella", (Box(20, 10, 50, 40, 0.7), Box(60, 10, 70, 40, 0.4)), 60),
    )
    steps = (
        StoredStep("detection", "the man, an umbrella", None, answer, "<p>raw</p>" * 8, phrases, 0.4, "nano"),
        StoredStep("vqa", question, None, answer, answer, (), 0.3, "nano"),
    )
    return NewTurn(question, answer, image, None, steps, "nano", 0.7)


def fill(database: Path, turns: int) -> tuple[str, list[float], list[int]]:
    """Write a session; return its id, milliseconds per turn and bytes of the database after each segment."""
    picture = BytesIO()
    Image.effect_noise((640, 480), 50).convert("RGB").save(picture, "JPEG")
    times, sizes = [], []
    with SessionStore.open(database) as store:
        image, session_id = store.add_image(picture.getvalue()), store.create_session("Benchmark").id
    for first in range(0, turns, SEGMENT):
        count = min(SEGMENT, turns - first)
        with SessionStore.open(database) as store:
            start = time.perf_counter()
            for number in range(first, first + count):
                store.append_turn(session_id, example_turn(number, image))
            times.append(round((time.perf_counter() - start) * 1000 / count, 2))
        sizes.append(database.stat().st_size)  # closed, so that the file is complete
    return session_id, times, sizes


def measure(folder: Path, turns: int) -> dict[str, object]:
    """Return all figures by name."""
    database = folder / "assistant.db"
    start = time.perf_counter()
    SessionStore.open(database).close()
    created = round((time.perf_counter() - start) * 1000, 2)
    empty = database.stat().st_size
    session_id, times, sizes = fill(database, turns)
    with SessionStore.open(database) as store:
        return {
            "turns": turns,
            "create_ms": created,
            "open_ms": median_milliseconds(lambda: open_and_close(database)),
            "list_ms": median_milliseconds(store.list_sessions),
            "last_20_turns_ms": median_milliseconds(lambda: store.turns(session_id, last=20)),
            "all_turns_ms": median_milliseconds(lambda: store.turns(session_id)),
            "search_ms": median_milliseconds(lambda: store.search("blue umbrella")),
            "append_turn_ms_per_100_turns": times,
            "empty_bytes": empty,
            "growth_bytes_per_100_turns": [
                size - before for size, before in zip(sizes, [empty, *sizes], strict=False)
            ],
        }


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = arguments(__doc__)
    parser.add_argument("--turns", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.turns)
    publish(figures, options.out)


if __name__ == "__main__":
    main()
