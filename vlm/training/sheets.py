"""Sheets of pictures with what the model in training answers about them, to see it learn."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from PIL import Image, ImageDraw, ImageFont
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..data.mixture import Example
from ..grounding import GroundedText, parse
from ..processing import MiniGPTv2Processor

# Pictures on a sheet, and the sides in pixels of a picture and of the words below it.
IMAGES = 6
COLUMNS = 3
SIDE = 256
WORDS = 96
LINE = 14
# Tokens of an answer.
MAX_NEW_TOKENS = 64

ANSWERED = "#ff5a1f"
WANTED = "#12b76a"


@dataclass(frozen=True)
class AnsweredExample:
    """A picture, what was asked, what the model answered, and what it should have."""

    image: Image.Image | None
    question: str
    answered: GroundedText
    wanted: GroundedText


def answer_examples(
    model: PeftModel, processor: MiniGPTv2Processor, examples: Sequence[Example]
) -> list[AnsweredExample]:
    """Ask one question of each example, another kind of question from one to the next."""
    samples = [example.samples[index % len(example.samples)] for index, example in enumerate(examples)]
    images = [example.image for example in examples]
    batch = processor(images, [[replace(sample.turn, answer=None)] for sample in samples])
    prompt = batch["input_ids"].shape[1]
    written = model.generate(**batch.to(model.device), do_sample=False, max_new_tokens=MAX_NEW_TOKENS)[
        :, prompt:
    ]
    answers = [processor.decode_answer(ids.tolist()) for ids in written]
    return [
        AnsweredExample(image, sample.turn.user, parse(answer), parse(sample.turn.answer or ""))
        for image, sample, answer in zip(images, samples, answers, strict=True)
    ]


def sheet(shown: Sequence[AnsweredExample]) -> Image.Image:
    """Draw the pictures in rows, the model's boxes in orange and the wanted ones in green."""
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    page = Image.new("RGB", (columns * SIDE, rows * (SIDE + WORDS)), "white")
    for index, item in enumerate(shown):
        page.paste(_cell(item), (index % columns * SIDE, index // columns * (SIDE + WORDS)))
    return page


def _cell(item: AnsweredExample) -> Image.Image:
    cell = Image.new("RGB", (SIDE, SIDE + WORDS), "white")
    # A square, as the model sees it: the places of boxes need no care for the picture's shape.
    if item.image is not None:
        cell.paste(item.image.convert("RGB").resize((SIDE, SIDE)))
    draw = ImageDraw.Draw(cell)
    for grounded, colour in ((item.wanted, WANTED), (item.answered, ANSWERED)):
        for box in grounded.boxes:
            draw.rectangle(box.to_pixels(SIDE, SIDE), outline=colour, width=2)
    font = ImageFont.load_default(size=11)
    lines = [(f"? {item.question}", "black"), (item.answered.raw, ANSWERED), (item.wanted.raw, WANTED)]
    for index, (text, colour) in enumerate(lines):
        words = "\n".join(textwrap.wrap(text, 44)[:2])
        draw.multiline_text((4, SIDE + 2 + index * 2 * LINE), words, fill=colour, font=font, spacing=1)
    return cell


class SheetWriter(TrainerCallback):
    """Writes `sheets/step-N.png` every so many steps; `draw` makes the sheet of the moment."""

    def __init__(self, folder: Path, every: int, draw: Callable[[], Image.Image]) -> None:
        self._folder = folder
        self._every = every
        self._draw = draw

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Write a sheet if its time has come."""
        if state.global_step % self._every == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._draw().save(self._folder / f"step-{state.global_step:06}.png")


def draw_sheet(
    model: PeftModel, processor: MiniGPTv2Processor, examples: Sequence[Example], *, bf16: bool
) -> Image.Image:
    """Ask the model as it is at this moment, in the precision that it is trained in."""
    model.eval()  # the Trainer sets it back before the next step
    precision = torch.autocast(model.device.type, torch.bfloat16, enabled=bf16)
    # Compiled layers would be prepared anew for decoding with a cache, which takes longer than these answers.
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"), precision:
        return sheet(answer_examples(model, processor, examples))


__all__ = ["IMAGES", "AnsweredExample", "SheetWriter", "answer_examples", "draw_sheet", "sheet"]
