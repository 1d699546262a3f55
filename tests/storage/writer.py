"""A program that writes turns, for tests with concurrent or killed writers.

Usage: writer.py DATABASE THREADS TURNS SHARED [IMAGES]. Each thread writes TURNS turns, by turns to the
session SHARED and to one of its own, and prints the session and the number of each once it is kept. It
replaces some of its own at once.
"""

import os
import sys
import threading
import traceback
from io import BytesIO
from pathlib import Path

from PIL import Image

from assistant.storage import NewTurn, SessionStore, StoredStep
from assistant.vlm.grounding import Box, GroundedPhrase

PHRASES = (
    GroundedPhrase("a man", (Box(1, 2, 3, 4, 0.5), Box(5, 6, 7, 8))),
    GroundedPhrase("", (Box(0, 0, 1, 1),)),
)
STEPS = (StoredStep("refer", "a man", phrases=PHRASES), StoredStep("vqa", "what?", text="that"))


def picture(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (32, 32), shade % 256).save(buffer, "PNG")
    return buffer.getvalue()


def write(store: SessionStore, turns: int, shared: str) -> None:
    own = store.create_session().id
    image = None
    for count in range(turns):
        image = store.add_image(picture(count // 8)) if count % 8 == 0 else image
        session_id = shared if count % 2 else own
        turn = store.append_turn(session_id, NewTurn("question", "answer", image, steps=STEPS))
        # Unbuffered: a buffer shared by threads may lose lines when the program is killed.
        os.write(sys.stdout.fileno(), f"{session_id} {turn.number}\n".encode())
        if count % 4 == 0:
            store.replace_turn(own, turn.number, NewTurn("question", "another answer", image, steps=STEPS))


def main() -> int:
    database, threads, turns, shared = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    failures: list[str] = []

    def attempt() -> None:
        try:
            write(store, turns, shared)
        except BaseException:
            failures.append(traceback.format_exc())

    images = Path(sys.argv[5]) if len(sys.argv) > 5 else None
    # A busy machine may keep the lock from a writer for long: slow is not lost.
    with SessionStore.open(database, image_folder=images, timeout=600) as store:
        workers = [threading.Thread(target=attempt) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    sys.stderr.write("".join(failures))
    return len(failures)


if __name__ == "__main__":
    sys.exit(main())
