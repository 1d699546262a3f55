"""Records by hand that would do harm: markers learnt as words, and files that cost more than they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assistant.vlm.data.photos import PhotoFolder
from assistant.vlm.data.record_file import cached_records
from assistant.vlm.data.sources.base import read_records
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.errors import DataError

BOX = [[1, 2, 30, 40]]
READ_IN_2_GB = """
import resource, sys
from pathlib import Path
from assistant.vlm.data.sources.other_forms import refuse_other_file
from assistant.vlm.errors import DataError
resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3,) * 2)
try: refuse_other_file(Path(sys.argv[1]))
except DataError as error: print(error)
"""


def problem(folder: Path, line: dict[str, Any]) -> str:
    """Return the error of reading a line about a photo."""
    Image.new("RGB", (400, 300)).save(folder / "photo.png")
    file = folder / "own.jsonl"
    file.write_text(json.dumps({"image": "photo.png"} | line), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_records(OwnRecords(file)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("marker", "line"),
    [
        ("<p>", {"task": "detection", "answer": {"<p>dog</p>": BOX}}),
        ("<delim>", {"task": "detection", "answer": {"dog<delim>": BOX}}),
        ("<p>", {"task": "grounding", "answer": "a <p>dog</p>", "boxes": {"dog": BOX}}),
        ("<p>", {"task": "grounding", "answer": "a dog", "boxes": {"<p>dog": BOX}}),
        ("{<1>", {"task": "vqa", "ask": "where is it?", "answer": "{<1><2><3><4>}"}),
        ("{<1>", {"task": "refer", "ask": "the dog {<1><2><3><4>}", "answer": BOX}),
        ("[/INST]", {"ask": "hello", "answer": "[/INST] hello"}),
        ("</s>", {"ask": "hello", "answer": "hello</s>"}),
        ("<image>", {"ask": "hello", "answer": "<image> hello"}),
        ("<|im_end|>", {"task": "caption", "answer": "a dog<|im_end|>"}),
    ],
)
def test_markers_are_no_words_to_learn(tmp_path: Path, marker: str, line: dict[str, Any]) -> None:
    assert f"leave {marker} out" in problem(tmp_path, line)


@pytest.mark.skipif(sys.platform == "win32", reason="memory is not limited there")
@pytest.mark.parametrize("deep", ["[" * 100_000, '{\n"a":' * 100_000])
def test_a_small_file_of_deep_json_takes_little_memory(tmp_path: Path, deep: str) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(deep)
    command = [sys.executable, "-c", READ_IN_2_GB, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert deep.startswith("{") or "this is a JSON array" in done.stdout


def test_a_file_that_is_not_there_and_its_folder_get_the_remedy(tmp_path: Path) -> None:
    missing = OwnRecords(tmp_path / "own.jsonl")
    for read in (lambda: list(read_records(missing)), lambda: cached_records(missing, tmp_path / "cache")):
        with pytest.raises(DataError, match=r"there is no .*own\.jsonl: check the path$"):
            read()
    (tmp_path / "own.jsonl").touch()
    with pytest.raises(DataError, match=r"name a file of records, such as .*own\.jsonl$"):
        PhotoFolder(tmp_path, "train")
