"""Messages with plans: reading, holding out families, drawing, and batching."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from assistant.vlm.data.collator import PLANNING, SharedImageCollator
from assistant.vlm.data.configuration import MixtureConfig, SourceConfig
from assistant.vlm.data.messages import MessageStream, read_messages
from assistant.vlm.data.mixture import open_mixture
from assistant.vlm.errors import DataError

from .tiny import tiny_processor


def line(family: str = "w:where", **fields: Any) -> dict[str, Any]:
    return {
        "kind": "refer",
        "writer": "w",
        "family": family,
        "history": [],
        "user": f"Where is the big dog of {family}?",
        "region": None,
        "steps": [{"task": "refer", "argument": "the big dog"}],
    } | fields


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "some.jsonl").write_text("".join(json.dumps(item) + "\n" for item in lines), encoding="utf-8")
    return folder


def families(folder: Path, count: int) -> Path:
    return write(folder, *(line(f"w:{number}") for number in range(count)))


def test_whole_families_are_held_out(tmp_path: Path) -> None:
    folder = write(tmp_path, *(line(f"w:{n % 50}", user=f"where is dog {n}?") for n in range(200)))
    learnt = {message.line.family for message in read_messages(folder, held_out=False)}
    measured = {message.line.family for message in read_messages(folder, held_out=True)}
    assert learnt.isdisjoint(measured)
    assert len(learnt | measured) == 50
    assert 1 <= len(measured) <= 12


def test_a_whole_writer_is_held_out(tmp_path: Path) -> None:
    folder = write(tmp_path, *(line(f"{w}:{n}", writer=w) for w in ("w1", "w9") for n in range(40)))
    assert {message.line.writer for message in read_messages(folder, held_out=False)} == {"w1"}
    measured = [message.line.writer for message in read_messages(folder, held_out=True)]
    assert measured.count("w9") == 40


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": []}, "steps"),
        ({"steps": [{"task": "dance", "argument": ""}]}, "steps.0.task"),
        ({"steps": [{"task": "vqa", "argument": "is it?", "ref": "R"}]}, "there is no box 'R'"),
        ({"steps": [{"task": "identify", "argument": ""}]}, "[identify] needs a box"),
        ({"region": [1, 2, 300, 4]}, "not a box"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    folder = write(tmp_path, line(), line(**fields))
    with pytest.raises(DataError) as error:
        read_messages(folder, held_out=False)
    assert "some.jsonl:2: " in str(error.value)
    assert message in str(error.value)


def test_a_folder_without_messages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no messages"):
        read_messages(tmp_path, held_out=False)


def test_a_message_is_learnt_with_its_context(tmp_path: Path) -> None:
    past = {"task": "detection", "argument": "dogs", "boxes": [[1, 2, 30, 40]], "region": None}
    folder = write(
        tmp_path,
        line(
            history=[{"user": "find dogs", "steps": [past], "answer": "I see one dog."}],
            user="what is it in [5, 5, 50, 50]?",
            steps=[{"task": "identify", "argument": "", "ref": "T1"}, {"task": "chat", "argument": ""}],
        ),
    )
    (message,) = read_messages(folder, held_out=False)
    assert message.prompt.text == "- detect dogs A1\n> what is it in T1?\n=>"
    assert message.plan == " identify T1 ; chat cannot"


def test_families_of_free_conversation_have_their_replies(tmp_path: Path) -> None:
    chat = {"task": "chat", "argument": ""}
    folder = write(
        tmp_path, line("w:hi", user="hi", steps=[chat]), line("w:cake", user="cake?", steps=[chat])
    )
    (folder / "replies.json").write_text('{"hello": ["w:hi"]}')
    assert [message.plan for message in read_messages(folder, held_out=False)] == [
        " chat hello",
        " chat cannot",
    ]


def test_some_messages_are_in_lower_case_or_have_typos(tmp_path: Path) -> None:
    (message,) = read_messages(write(tmp_path, line()), held_out=False)
    turns = {message.turn(random.Random(seed)).user for seed in range(200)}
    assert "> Where is the big dog of w:where?\n=>" in turns
    assert "> where is the big dog of w:where\n=>" in turns
    assert len(turns) > 2
    assert {message.turn(random.Random(seed)).answer for seed in range(200)} == {" locate the big dog"}


def test_every_message_is_drawn_once_in_a_pass(tmp_path: Path) -> None:
    messages = read_messages(families(tmp_path, 24), held_out=False)[:20]
    stream = MessageStream(messages, 5)
    drawn = [sample.turn for index in range(4) for sample in stream.draw(index, 3).samples]
    assert len({turn.user.lower() for turn in drawn}) >= 19
    assert [sample.turn for sample in stream.draw(2, 3).samples] == drawn[10:15]


def test_messages_are_a_source_of_the_mixture_without_images(tmp_path: Path) -> None:
    config = MixtureConfig(
        ratios={"photos": 0.0, "planning": 1.0},
        sources={"planning": SourceConfig(path=families(tmp_path, 30))},
        messages=4,
    )
    mixture = open_mixture(tmp_path / "none", "train", config, 8, 0)
    batch = SharedImageCollator(tiny_processor())([mixture[0], mixture[1]])
    assert "pixel_values" not in batch
    learnt = batch["tasks"][batch["labels"] != -100]
    assert set(learnt.tolist()) == {PLANNING}
    begins = batch["input_ids"] == 0
    assert begins.sum(1).tolist() == [4, 4]
    # Each message attends to itself only: its first token sees one token.
    assert (batch["attention_mask"][:, 0].sum(-1)[begins] == 1).all()


def test_the_messages_of_the_package_are_valid() -> None:
    learnt, measured = read_messages(held_out=False), read_messages(held_out=True)
    assert len(learnt) > 5 * len(measured) > 0
