"""Records written by hand: the meaning of each line, and the errors."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from assistant.vlm.data.configuration import MixtureConfig
from assistant.vlm.data.mixture import open_mixture
from assistant.vlm.data.record_file import cached_records
from assistant.vlm.data.records import Record, TaskTurn
from assistant.vlm.data.skipped_rows import SkippedRows
from assistant.vlm.data.sources import own
from assistant.vlm.data.sources.base import read_records
from assistant.vlm.data.sources.own import OwnRecords
from assistant.vlm.errors import DataError
from assistant.vlm.grounding import Box
from assistant.vlm.pictures import Picture, open_picture
from assistant.vlm.tasks import ABSENT_ANSWER, Task

from .tiny import picture

Line = dict[str, Any]
PHOTO = "photos/1.png"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    picture(1, width=40, height=20).save(tmp_path / PHOTO)
    return tmp_path / "own.jsonl"


def write(file: Path, *lines: Line | str) -> None:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")


def records(file: Path, *lines: Line | str, skipped: SkippedRows | None = None) -> list[Record]:
    write(file, *lines)
    return list(read_records(OwnRecords(file), skipped))


MEANT = [
    pytest.param(
        {"task": "refer", "ask": "my red mug", "answer": [[4, 2, 20, 10]]},
        TaskTurn(Task.REFER, "my red mug", "{<10><10><50><50>}"),
        id="refer",
    ),
    pytest.param(
        {"task": "detection", "ask": "mugs", "answer": [[4, 2, 20, 10], [30, 0, 40, 20]]},
        TaskTurn(Task.DETECTION, "mugs", "<p>mugs</p> {<10><10><50><50>}<delim>{<75><0><100><100>}"),
        id="detection",
    ),
    pytest.param(
        {"task": "detection", "answer": {"mug": [[4, 2, 20, 10]], "spoon": [[30, 0, 40, 20]]}},
        TaskTurn(
            Task.DETECTION,
            "mug, spoon",
            "<p>mug</p> {<10><10><50><50>} <p>spoon</p> {<75><0><100><100>}",
        ),
        id="detection of several things",
    ),
    pytest.param(
        {"task": "refer", "ask": "a fork", "answer": "not in the image"},
        TaskTurn(Task.REFER, "a fork", ABSENT_ANSWER),
        id="refer to what is not there",
    ),
    pytest.param(
        {"task": "detection", "ask": "forks", "answer": "not in the image"},
        TaskTurn(Task.DETECTION, "forks", ABSENT_ANSWER),
        id="detection of what is not there",
    ),
    pytest.param(
        {"task": "identify", "region": [4, 2, 20, 10], "answer": "my red mug"},
        TaskTurn(Task.IDENTIFY, "", "my red mug", Box(10, 10, 50, 50)),
        id="identify",
    ),
    pytest.param(
        {"task": "caption", "answer": "my desk"}, TaskTurn(Task.CAPTION, "", "my desk"), id="caption"
    ),
    pytest.param(
        {"task": "vqa", "ask": "whose mug is it?", "answer": "mine"},
        TaskTurn(Task.VQA, "whose mug is it?", "mine"),
        id="vqa",
    ),
    pytest.param(
        {
            "task": "grounding",
            "answer": "my mug by the window",
            "boxes": {"the window": [[30, 0, 40, 20]], "my mug": [[4, 2, 20, 10]]},
        },
        TaskTurn(
            Task.GROUNDING,
            "",
            "<p>my mug</p>{<10><10><50><50>} by <p>the window</p>{<75><0><100><100>}",
        ),
        id="grounding",
    ),
    pytest.param(
        {"ask": "what is on my desk?", "answer": "A mug."},
        TaskTurn(None, "what is on my desk?", "A mug."),
        id="free conversation",
    ),
]

MISTAKES = [
    pytest.param("{oops", "not JSON", id="not JSON"),
    pytest.param("[1]", "write one object per line", id="a list"),
    pytest.param(
        {"aks": "x", "answer": "y"}, "'aks' is not among the keys here: task, ask", id="unknown key"
    ),
    pytest.param(
        {"conversation": [{"ask": "x", "anser": "y"}]},
        r"conversation\.0: 'anser' is not among the keys here",
        id="in a turn",
    ),
    pytest.param(
        {"image": "https://example.org/1.jpg", "ask": "x", "answer": "y"},
        r"image: https://example\.org/1\.jpg is an address: download the image",
        id="an address",
    ),
    pytest.param(
        {"image": "data:image/png;base64," + "A" * 9999, "ask": "x", "answer": "y"},
        "image: this is the image's data: save it as a file, and give its path$",
        id="a data URL",
    ),
    pytest.param(
        {"image": "photos/\0.png", "ask": "x", "answer": "y"},
        r"image: 'photos/\\x00\.png' cannot be a path",
        id="a NUL",
    ),
    pytest.param({"ask": "what?"}, "answer: Field required", id="no answer"),
    pytest.param({"ask": "what?", "answer": " "}, "the answer is empty", id="empty answer"),
    pytest.param({"answer": "a mug"}, "the question is empty", id="nothing asked"),
    pytest.param({"task": "reffer", "answer": "x"}, "task: Input should be 'caption'", id="unknown task"),
    pytest.param({"task": "vqa", "answer": "x"}, r"\[vqa\] needs a question or a phrase", id="no question"),
    pytest.param({"task": "identify", "answer": "x"}, r"\[identify\] needs a region", id="no region"),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[0, 0, 41, 20]]},
        r"answer: \[0, 0, 41, 20\] lies outside of the image of 40 x 20 pixels",
        id="outside",
    ),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[20, 0, 10, 20]]},
        r"answer: \[20, 0, 10, 20\] is not in the order left, top, right, bottom",
        id="swapped",
    ),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[4, 2, 4, 9]]}, r"\[4, 2, 4, 9\] has no area", id="no area"
    ),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[0.1, 0.2, 0.5, 1]]},
        r"answer: \[0\.1, 0\.2, 0\.5, 1\] are fractions, but pixels are wanted: give \[4, 4, 20, 20\]",
        id="fractions",
    ),
    pytest.param(
        {"task": "identify", "region": [0, 0, 0.5, 0.5], "answer": "mug"},
        "region: .* are fractions, but pixels are wanted",
        id="a region in fractions",
    ),
    pytest.param({"task": "refer", "ask": "mug", "answer": [0, 0, 9, 9]}, "write a list of boxes", id="flat"),
    pytest.param(
        {"task": "refer", "ask": "mug", "answer": [[0, 0, 9, 9], [2, 2, 12, 12]]},
        "needs exactly one box",
        id="two",
    ),
    pytest.param({"task": "refer", "ask": "mug", "answer": "left"}, "write a list of boxes", id="prose"),
    pytest.param({"task": "caption", "answer": [[0, 0, 9, 9]]}, "needs text", id="a box as caption"),
    pytest.param(
        {"task": "grounding", "answer": "a mug", "boxes": {"spoon": [[0, 0, 9, 9]]}},
        "boxes: the answer does not say 'spoon'$",
        id="phrase not said",
    ),
    pytest.param(
        {"task": "grounding", "answer": "a woman", "boxes": {"man": [[0, 0, 9, 9]]}},
        "boxes: the answer does not say 'man' except as part of a word",
        id="part of a word",
    ),
    pytest.param(
        {"task": "grounding", "answer": "a mug", "boxes": {" ": [[0, 0, 9, 9]]}},
        "boxes: the answer does not say ' '$",
        id="an empty phrase",
    ),
    pytest.param(
        {
            "task": "grounding",
            "answer": "a red mug",
            "boxes": {"mug": [[0, 0, 9, 9]], "a red mug": [[0, 0, 9, 9]]},
        },
        "boxes: 'mug' overlaps 'a red mug' in the answer: box only one of them",
        id="phrases that overlap",
    ),
    pytest.param(
        '{"ask": "a", "answer": "b", "answer": "c"}', "has the key 'answer' twice", id="a key twice"
    ),
    pytest.param(
        {"task": "refer", "ask": "[refer] mug", "answer": [[0, 0, 9, 9]]},
        r"ask: leave \[refer\] out",
        id="an identifier",
    ),
    pytest.param({"ask": "<image>\nwhat?", "answer": "x"}, "ask: leave <image> out", id="a marker"),
    pytest.param(
        {"ask": "<|image_pad|>what?", "answer": "x"}, r"ask: leave <\|image_pad\|> out", id="Qwen's marker"
    ),
    pytest.param("[" * 100_000, "not JSON", id="nested deeply"),
    pytest.param({"task": "grounding", "answer": "a mug"}, "boxes: name the phrases", id="no boxes"),
    pytest.param(
        {"task": "caption", "answer": "a mug", "boxes": {"mug": [[0, 0, 9, 9]]}},
        r"boxes: only \[grounding\]",
        id="boxes",
    ),
    pytest.param(
        {"task": "refer", "region": [0, 0, 9, 9], "ask": "mug", "answer": [[20, 10, 30, 18]]},
        r"answer: \[20, 10, 30, 18\] is outside the region of the question",
        id="a box outside of the region",
    ),
    pytest.param(
        {
            "conversation": [
                {"ask": "a", "answer": "b"},
                {"ask": "what?", "region": [0, 0, 9, 9], "answer": "a mug"},
            ]
        },
        r"region: in a conversation only \[identify\] may have one; write a separate line",
        id="a region in a conversation",
    ),
    pytest.param(
        {"task": "caption", "ask": "what is it?", "answer": "a mug"},
        r"ask: \[caption\] takes no text",
        id="a question for a caption",
    ),
    pytest.param(
        {"task": "identify", "ask": "what is it?", "region": [0, 0, 9, 9], "answer": "a mug"},
        r"ask: \[identify\] takes no text",
        id="a question beside a region",
    ),
    pytest.param({"ask": "a", "answer": "\ud83d"}, r"'\\ud83d' is half a surrogate pair", id="half"),
    pytest.param(
        {"ask": "a", "answer": "b", "conversation": []},
        "'ask' is not among the keys here: image, conversation",
        id="both",
    ),
    pytest.param({"conversation": []}, "at least one turn", id="empty conversation"),
    pytest.param(
        {"conversation": [{"ask": "a", "answer": "b"}, {"ask": "c"}]},
        r"conversation\.1\.answer: Field required",
        id="a turn without answer",
    ),
    pytest.param({"image": "photos/2.png", "ask": "a", "answer": "b"}, "image: .*no such file", id="gone"),
]


@pytest.mark.parametrize(("line", "meant"), MEANT)
def test_a_line_means_what_its_task_says(file: Path, line: Line, meant: TaskTurn) -> None:
    (record,) = records(file, {"image": PHOTO} | line)
    assert record.turns == (meant,)
    assert record.picture is not None
    assert record.picture.read().size == (40, 20)


def test_a_conversation_holds_its_turns_in_order(file: Path) -> None:
    lines = [MEANT[index].values[0] for index in (4, 0, 7)]
    (record,) = records(file, {"image": PHOTO, "conversation": lines})
    assert record.turns == tuple(MEANT[index].values[1] for index in (4, 0, 7))


def test_a_line_needs_no_image(file: Path) -> None:
    (record,) = records(file, {"ask": "who are you?", "answer": "An assistant."})
    assert record == Record(None, (TaskTurn(None, "who are you?", "An assistant."),))


def test_empty_lines_are_ignored(file: Path) -> None:
    assert len(records(file, "", {"ask": "a", "answer": "b"}, "")) == 1


PHRASES = [
    pytest.param(
        "a woman and a man", {"man": 1}, "a woman and a <p>man</p>{<10><10><50><50>}", id="as whole words"
    ),
    pytest.param(
        "a red mug and another mug",
        {"mug": 1, "a red mug": 2},
        "<p>a red mug</p>{<75><0><100><100>} and another <p>mug</p>{<10><10><50><50>}",
        id="the next free place",
    ),
    pytest.param(
        "Anna's mug, a blue-mug", {"Anna": 1}, "<p>Anna</p>{<10><10><50><50>}'s mug, a blue-mug", id="signs"
    ),
    pytest.param("红色杯子", {"杯子": 1}, "红色<p>杯子</p>{<10><10><50><50>}", id="a script without spaces"),
]


@pytest.mark.parametrize(("answer", "boxes", "learnt"), PHRASES)
def test_phrases_are_found_in_the_answer(file: Path, answer: str, boxes: dict[str, int], learnt: str) -> None:
    places = {1: [[4, 2, 20, 10]], 2: [[30, 0, 40, 20]]}
    line: Line = {"image": PHOTO, "task": "grounding", "answer": answer}
    (record,) = records(file, line | {"boxes": {phrase: places[box] for phrase, box in boxes.items()}})
    assert record.turns[0].answer == learnt


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ({"task": "vqa", "ask": "whose is it?", "answer": "mine"}, "mine"),
        ({"task": "caption", "answer": "my mug"}, "my mug"),
        ({"ask": "what is it?", "answer": "My mug."}, "My mug."),
        ({"task": "refer", "ask": "mug", "answer": [[7, 2, 20, 18]]}, "{<0><0><50><100>}"),
        ({"task": "refer", "ask": "mug", "answer": [[0, 0, 20, 18]]}, "{<0><0><50><100>}"),
        ({"task": "refer", "ask": "fork", "answer": ABSENT_ANSWER}, ABSENT_ANSWER),
    ],
)
def test_a_region_is_cropped_as_in_inference(file: Path, line: Line, answer: str) -> None:
    (record,) = records(file, {"image": PHOTO, "region": [10, 4, 30, 16]} | line)
    [turn] = record.turns
    assert (turn.answer, turn.region) == (answer, None)
    assert record.picture is not None
    whole = Image.open(file.parent / PHOTO)
    assert record.picture.read().tobytes() == whole.crop((7, 2, 33, 18)).tobytes()
    [again] = [cached_records(OwnRecords(file), file.parent / "cache").records_of(0)]
    assert again == [record]


def test_boxes_that_stick_out_by_half_a_pixel_are_clipped(file: Path) -> None:
    line = {"image": PHOTO, "task": "refer", "ask": "mug", "answer": [[-0.5, 2, 40.5, 20.4]]}
    (record,) = records(file, line)
    assert record.turns[0].answer == "{<0><10><100><100>}"


def test_a_damaged_image_is_reported_when_the_data_is_read(file: Path) -> None:
    photo = file.parent / "photos" / "2.jpg"
    picture(1, width=400, height=200).save(photo)
    photo.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    with pytest.raises(DataError, match=r"own\.jsonl:1: image: .*2\.jpg: .*(damaged|incomplete)"):
        records(file, {"image": "photos/2.jpg", "task": "caption", "answer": "a mug"})


def test_an_image_is_decoded_once_for_all_its_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counted(path: Path) -> Picture:
        opened.append(path)
        return open_picture(path)

    monkeypatch.setattr(own, "open_picture", counted)
    assert len(records(file, *[{"image": PHOTO, "ask": "a", "answer": "b"}] * 3)) == 3
    assert opened == [file.parent / PHOTO]


@pytest.mark.parametrize(("line", "message"), MISTAKES)
def test_a_mistake_is_reported_with_its_line(file: Path, line: Line | str, message: str) -> None:
    good: Line = {"image": PHOTO, "ask": "a", "answer": "b"}
    wrong = line if isinstance(line, str) else {"image": PHOTO} | line
    with pytest.raises(DataError, match=rf"own\.jsonl:2: .*{message}") as caught:
        records(file, good, wrong)
    assert "\n" not in str(caught.value)


def test_a_box_without_a_picture_is_a_mistake(file: Path) -> None:
    with pytest.raises(DataError, match=r"own\.jsonl:1: answer: there is a box but no image"):
        records(file, {"task": "refer", "ask": "mug", "answer": [[0, 0, 9, 9]]})
    with pytest.raises(DataError, match=r"own\.jsonl:1: \[caption\] needs an image"):
        records(file, {"task": "caption", "answer": "a mug"})


def test_lines_with_mistakes_are_skipped_and_counted_if_asked_to(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good: Line = {"image": PHOTO, "ask": "a", "answer": "b"}
    skipped = SkippedRows(file)
    with caplog.at_level(logging.WARNING):
        found = records(
            file, "{oops", good, {"image": "gone.png", "ask": "a", "answer": "b"}, skipped=skipped
        )
    assert len(found) == 1
    assert "own.jsonl:1: not JSON" in caplog.text
    assert "own.jsonl:3: image: " in caplog.text
    assert skipped.count == 2


def test_the_example_of_the_documentation_is_read(file: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "own-data.md"
    example = document.read_text(encoding="utf-8").split("```jsonl\n")[1].split("```")[0]
    for name in ("desk.jpg", "kitchen.jpg"):
        picture(0, width=800, height=600).save(file.parent / "photos" / name)
    assert len(records(file, *example.splitlines())) == len(example.splitlines())


LLAVA = {
    "id": "1",
    "image": PHOTO,
    "conversations": [
        {"from": "human", "value": "<image>\nwhat is it?"},
        {"from": "gpt", "value": "A mug."},
    ],
}
COCO = {
    "images": [{"id": 7, "file_name": PHOTO}, {"id": 8, "file_name": "photos/2.png"}],
    "annotations": [{"image_id": 7, "category_id": 1, "bbox": [4, 2, 16, 8]}],
    "categories": [{"id": 1, "name": "mug"}],
}
CONVERTED = [
    pytest.param("llava.json", [LLAVA], TaskTurn(None, "what is it?", "A mug."), id="LLaVA"),
    pytest.param(
        "instances.json", COCO, TaskTurn(Task.DETECTION, "mug", "<p>mug</p> {<10><10><50><50>}"), id="COCO"
    ),
]


@pytest.mark.parametrize(("name", "content", "meant"), CONVERTED)
def test_the_scripts_of_the_documentation_convert_other_formats(
    file: Path, name: str, content: Any, meant: TaskTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = Path(__file__).parents[2] / "docs" / "own-data.md"
    scripts = document.read_text(encoding="utf-8").split("```python\n")[1:]
    [script] = [script.split("```")[0] for script in scripts if name in script]
    (file.parent / name).write_text(json.dumps(content))
    monkeypatch.chdir(file.parent)
    exec(compile(script, name, "exec"), {})
    [record] = read_records(OwnRecords(file))
    assert record.turns == (meant,)


def test_a_run_trains_on_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_CACHE", str(file.parent / "cache"))
    first: Any = MEANT[0].values[0]
    write(file, {"image": PHOTO} | first, {"ask": "who are you?", "answer": "An assistant."})
    mixture = open_mixture(file, "train", MixtureConfig(), 6, seed=0)
    examples = [mixture[index] for index in range(6)]
    assert [example.image is None for example in examples].count(True) == 3
    answers = {sample.turn.answer for example in examples for sample in example.samples}
    assert answers == {"{<10><10><50><50>}", "An assistant."}
