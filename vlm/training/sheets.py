"""Draw sheets of images with the current answers of the model in training."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image, ImageDraw, ImageFont
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..architecture.processing import MiniGPTv2Processor
from ..data.mixture import Example, InstructionMixture
from ..grounding import GroundedText, parse
from .adapted_model import AdaptedModel
from .config import TrainingConfig

# Images per sheet and row, and in pixels the side of an image, the height of its text and of a line.
IMAGES = 6
COLUMNS = 3
SIDE = 256
WORDS = 96
LINE = 14
# The most tokens of an answer.
MAX_NEW_TOKENS = 64

ANSWERED = "#ff5a1f"
WANTED = "#12b76a"


@dataclass(frozen=True)
class AnsweredExample:
    """An image, the question, the model's answer, and the right one."""

    image: Image.Image | None
    question: str
    answered: GroundedText
    wanted: GroundedText


def answer_examples(
    model: AdaptedModel, processor: MiniGPTv2Processor, examples: Sequence[Example]
) -> list[AnsweredExample]:
    """Ask one question about each example, varying the kind of question."""
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
    """Draw the images in rows, the model's boxes in orange and the right ones in green."""
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    page = Image.new("RGB", (columns * SIDE, rows * (SIDE + WORDS)), "white")
    for index, item in enumerate(shown):
        page.paste(_cell(item), (index % columns * SIDE, index // columns * (SIDE + WORDS)))
    return page


def _cell(item: AnsweredExample) -> Image.Image:
    cell = Image.new("RGB", (SIDE, SIDE + WORDS), "white")
    # Square, as the model sees it, so boxes need no aspect ratio.
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
    """Writes `sheets/step-N.png` every `sample_every` steps: the first examples of the data."""

    def __init__(
        self,
        model: AdaptedModel,
        processor: MiniGPTv2Processor,
        data: InstructionMixture,
        config: TrainingConfig,
    ) -> None:
        self._model = model
        self._processor = processor
        self._config = config
        self._examples = [data[index] for index in range(min(IMAGES, len(data)))]

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: object
    ) -> None:
        """Write a sheet if it is due."""
        if state.global_step % self._config.sample_every == 0:
            folder = self._config.out / "sheets"
            folder.mkdir(parents=True, exist_ok=True)
            self._draw().save(folder / f"step-{state.global_step:06}.png")

    def _draw(self) -> Image.Image:
        """Draw the answers of the current model, in its training precision."""
        self._model.eval()  # the Trainer restores training mode before the next step
        precision = torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._config.bf16)
        # Compiled layers would be recompiled for decoding with a cache, which takes longer than the answers.
        with torch.inference_mode(), torch.compiler.set_stance("force_eager"), precision:
            return sheet(answer_examples(self._model, self._processor, self._examples))
