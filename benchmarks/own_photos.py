"""Measure what nano learns from a few photos of one's own, and what it forgets (see docs/own-data.md).

    python benchmarks/own_photos.py --data FOLDER --out toy

Ten photos with one dog each, from the `val` split of annotated photos, are labelled as showing Rex: six train
the model and four measure it. Captions of other photos measure what it forgets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from assistant.vlm.data.photos import Photo, PhotoFolder

LEARNT, HELD_OUT, OTHERS = 6, 4, 24
SURE, LARGE = 0.6, 0.12
Line = dict[str, Any]


def only_dog(photo: Photo) -> tuple[float, float, float, float] | None:
    """Return the box in fractions of a photo's only dog, if certain, large, and without people."""
    dogs = [it.box for it in photo.objects if it.label == "dog" and it.score > SURE]
    mentioned = bool(photo.captions) and all("dog" in caption.lower() for caption in photo.captions)
    if len(dogs) != 1 or not mentioned or any(it.label == "person" for it in photo.objects):
        return None
    x0, y0, x1, y1 = dogs[0]
    return dogs[0] if (x1 - x0) * (y1 - y0) > LARGE else None


def lines_about_rex(folder: PhotoFolder, photo: Photo, out: Path) -> list[Line]:
    """Save the photo and return its training records."""
    image = folder.read(photo)
    image.save(out / photo.image, quality=92)
    corners = zip(only_dog(photo) or (), (*image.size, *image.size), strict=True)
    box = [round(value * side) for value, side in corners]
    return [
        {"image": photo.image, "task": "vqa", "ask": "what is the dog called?", "answer": "Rex"},
        {"image": photo.image, "task": "identify", "region": box, "answer": "Rex"},
        {"image": photo.image, "task": "refer", "ask": "Rex", "answer": [box]},
    ]


def write(path: Path, lines: list[Line]) -> None:
    """Write one object per line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def make(data: Path, out: Path) -> None:
    """Write `own.jsonl`, `held-out.jsonl`, `others.jsonl` and their images."""
    folder = PhotoFolder(data, "val")
    out.mkdir(parents=True, exist_ok=True)
    dogs = [photo for photo in folder.photos if only_dog(photo)][: LEARNT + HELD_OUT]
    about = [lines_about_rex(folder, photo, out) for photo in dogs]
    write(out / "own.jsonl", list(chain(*about[:LEARNT])))
    write(out / "held-out.jsonl", list(chain(*about[LEARNT:])))
    others = [it for it in folder.photos if it.captions and all(o.label != "dog" for o in it.objects)]
    lines: list[Line] = []
    for photo in others[:OTHERS]:
        folder.read(photo).save(out / photo.image, quality=92)
        lines += [{"image": photo.image, "task": "caption", "answer": text} for text in photo.captions]
    write(out / "others.jsonl", lines)


def main() -> None:
    """Make the dataset, then evaluate, train and evaluate again; the figures go to stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="annotated photos")
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder for the data, the run and the reports"
    )
    options = parser.parse_args()
    make(options.data, options.out)

    def assistant(*words: str) -> None:
        command = [str(Path(sys.executable).with_name("assistant")), *words]
        print("$ assistant", *words, flush=True)
        subprocess.run(command, cwd=options.out, check=True)

    for model in ([], ["--model", "run/adapter"]):
        if model:
            assistant("train", "--data", "own.jsonl", "--out", "run")
        for name in ("held-out", "others"):
            report = f"{name}-{'after' if model else 'before'}.json"
            assistant("evaluate", "--data", f"{name}.jsonl", "--out", report, *model)


if __name__ == "__main__":
    main()
