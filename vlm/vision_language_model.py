"""The typed interface to a model: one method per task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answers import (
    Answer,
    Caption,
    Completion,
    Continuation,
    Detections,
    Expression,
    Generation,
    GroundedCaption,
    ReferringResult,
    Reply,
    Request,
)
from .errors import AssistantError
from .generation_options import DEFAULT_OPTIONS, GenerationOptions
from .grounding import Box, GroundedPhrase
from .models.presets import DEFAULT_MODEL, PRESETS
from .pictures import Source, as_seen
from .regions import crop_to_region, map_to_full_image
from .tasks import Task, Turn

if TYPE_CHECKING:
    from .engine.base import Engine, GenerationListener


class VisionLanguageModel:
    """Asks one model about images; safe to share between threads.

    An image is a path, a file's bytes, an open file, a Pillow image, a numpy array or a `Picture`. It is
    opened as by `open_picture`, upright and in RGB; `ImageError` if that fails. With a `region`, the model
    sees only that crop, and boxes are mapped back to the full image; `identify` instead shows the model the
    full image and names the region in the prompt.

    `options` control how answers are generated, and `adapter` names the adapter; a request's own take
    precedence.
    """

    def __init__(
        self,
        engine: Engine,
        options: GenerationOptions = DEFAULT_OPTIONS,
        folder: Path | None = None,
        adapter: str = "",
    ) -> None:
        self.engine = engine
        self.options = options
        self.adapter = adapter
        self._folder = folder

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        base: Path | None = None,
        *,
        zoom: bool = True,
        dtype: str | None = None,
        device: str | None = None,
        quantize: str | None = None,
        options: GenerationOptions = DEFAULT_OPTIONS,
        adapters: Mapping[str, str | Path] | None = None,
    ) -> VisionLanguageModel:
        """Load a model by name or folder, fetching missing base weights, or connect to an address.

        `http://host:8000/v1#name` is a model behind an OpenAI-compatible server (`docs/remote-models.md`).
        `base` is the folder of an adapter's base model if it was moved; `zoom` asks again on a crop where
        that helps; `dtype` is float32, float16 or bfloat16 instead of the fastest; `device` is cpu, cuda,
        cuda:1, mps or auto, which spreads the model over all GPUs and main memory; `quantize` stores the
        language model's weights in 8bit or 4bit, which needs the library bitsandbytes; `options` control
        how answers are generated; `adapters` are folders of more adapters over the same base, by the names
        that `with_adapter` takes.

        Raises:
            WeightsError: there is no such model, or its weights cannot be loaded.
            AssistantError: the address is invalid.
            ValueError: there is no such `dtype`, `device` or `quantize`.
        """
        from .engine.address import is_address
        from .engine.loading import load_engine

        how: dict[str, Any] = {"dtype": dtype, "device": device, "quantize": quantize}
        engine = load_engine(model, base, zoom=zoom, adapters=adapters, **how)
        return cls(engine, options, None if model in PRESETS or is_address(model) else Path(model))

    @property
    def name(self) -> str:
        """The model's name, and that of the adapter if it was chosen by name."""
        return f"{self.engine.name}+{self.adapter}" if self.adapter else self.engine.name

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        base: Path | None = None,
        *,
        revision: str | None = None,
        token: str | None = None,
        **how: Any,
    ) -> VisionLanguageModel:
        """Load a model by name, a folder, or a repository of the Hugging Face Hub, OWNER/NAME.

        A repository is fetched to the Hub's cache. `how` are the other arguments of `load`.

        >>> VisionLanguageModel.from_pretrained("me/minigpt-v2", device="cuda")  # doctest: +SKIP

        Raises:
            WeightsError: there is no such model, folder or repository, or its weights cannot be loaded.
            ValueError: an argument is out of range.
        """
        from .folders.hub import fetch_repository

        name = str(model)
        if name not in PRESETS and not (name and Path(name).is_dir()):
            name = str(fetch_repository(name, revision, token))
        return cls.load(name, base, **how)

    def push_to_hub(self, repository: str, *, private: bool = True, token: str | None = None) -> str:
        """Upload the folder that was loaded to a repository, OWNER/NAME, of the Hub; return its address.

        For an adapter, the base is not uploaded.

        >>> model.push_to_hub("me/minigpt-v2")  # doctest: +SKIP
        'https://huggingface.co/me/minigpt-v2'

        Raises:
            AssistantError: the model is not from a folder, or the repository cannot be written.
        """
        from .folders.hub import push_folder

        if self._folder is None:
            raise AssistantError(f"{self.name} was not loaded from a folder: only a folder can be pushed")
        return push_folder(self._folder, repository, private=private, token=token)

    def with_options(self, options: GenerationOptions) -> VisionLanguageModel:
        """Return the same model with other options of generation.

        >>> model.with_options(GenerationOptions(temperature=0.6, seed=1)).caption("cat.jpg").text
        'a cat on a rug'
        """
        return VisionLanguageModel(self.engine, options, self._folder, self.adapter)

    def with_adapter(self, name: str) -> VisionLanguageModel:
        """Return the same model with one of its named adapters; "" is its own.

        >>> model = VisionLanguageModel.load("minigpt-v2", adapters={"mine": "runs/mine"})  # doctest: +SKIP
        >>> model.with_adapter("mine").caption("cat.jpg").text  # doctest: +SKIP
        'a cat on a rug'
        """
        return VisionLanguageModel(self.engine, self.options, self._folder, name)

    @property
    def plans(self) -> bool:
        """Whether the model was trained to plan (see `planning.py`)."""
        return self.engine.plans

    def caption(self, image: Source, region: Box | None = None) -> Caption:
        """Describe the image in a sentence.

        >>> model.caption("cat.jpg").text
        'a cat on a rug'
        """
        return Caption(self._ask(image, Request(Task.CAPTION, region=region)).grounded.text)

    def vqa(self, image: Source, question: str, region: Box | None = None) -> Answer:
        """Answer a question with a word or a short phrase.

        >>> model.vqa("cat.jpg", "what colour is the cat?").text
        'brown'
        """
        return Answer(self._ask(image, Request(Task.VQA, question, region)).grounded.text)

    def refer(self, image: Source, expression: str, region: Box | None = None) -> ReferringResult:
        """Locate the one thing that an expression refers to (referring expression comprehension).

        >>> cat = model.refer("cat.jpg", "the cat")
        >>> cat.box.to_pixels(*cat.image.size)
        (45.1, 60.0, 225.5, 300.0)
        >>> cat.confidence
        0.83
        """
        image = as_seen(image)
        boxes = self._ask(image, Request(Task.REFER, expression, region)).grounded.boxes
        box = boxes[0] if boxes else None
        return ReferringResult(expression, box, box.score if box else 0.0, image)

    def detect(self, image: Source, phrase_or_sentence: str, region: Box | None = None) -> Detections:
        """Detect all instances of a phrase, or of each phrase of a sentence (parse and ground).

        >>> model.detect("cat.jpg", "eyes").to_pandas()[["phrase", "x0", "x1", "score"]]
          phrase     x0     x1  score
        0   eyes   45.1  135.3   0.83
        1   eyes  225.5  315.7   0.83
        """
        image = as_seen(image)
        grounded = self._ask(image, Request(Task.DETECTION, phrase_or_sentence, region)).grounded
        return Detections(tuple(map(_without_repeats, grounded.phrases)), image)

    def ground(
        self, image: Source, instruction: str | None = None, region: Box | None = None
    ) -> GroundedCaption:
        """Describe the image with a box for each thing named (grounded captioning).

        >>> described = model.ground("cat.jpg")
        >>> described.text
        'a cat with a nose'
        >>> [phrase.text for phrase in described.phrases]
        ['a cat', 'a nose']
        """
        image = as_seen(image)
        grounded = self._ask(image, Request(Task.GROUNDING, instruction or "", region)).grounded
        return GroundedCaption(grounded.text, grounded.phrases, grounded.raw, image)

    def identify(self, image: Source, region: Box) -> Expression:
        """Describe the thing in a region (referring expression generation).

        >>> model.identify("cat.jpg", Box(10, 20, 50, 100)).text
        'a tabby cat'
        """
        image = as_seen(image)
        text = self._ask(image, Request(Task.IDENTIFY, region=region)).grounded.text
        return Expression(text, region, image)

    def chat(self, image: Source | None, turns: Sequence[Turn]) -> Reply:
        """Reply freely to the last of `turns`, which has no answer yet.

        >>> model.chat("cat.jpg", [Turn("what might it think?")]).text
        'a cat on a rug'
        """
        *history, last = turns
        return Reply(self._ask(image, Request(None, last.user, history=tuple(history))).grounded.text)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer to one request piece by piece; its boxes are relative to the region."""
        return self.engine.stream(crop_to_region(self._prepared(request)))

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer a batch of requests of any tasks; a listener may follow and stop it.

        >>> requests = [Request(Task.REFER, "the cat", image=image), Request(Task.CAPTION, image=image)]
        >>> [answer.raw for answer in model.generate(requests)]
        ['{<10><20><50><100>}', 'a cat on a rug']
        """
        requests = list(map(self._prepared, requests))
        answers = self.engine.generate([crop_to_region(request) for request in requests], listener)
        return [map_to_full_image(*pair) for pair in zip(requests, answers, strict=True)]

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Complete texts without an image."""
        return self.engine.complete(completions)

    def _ask(self, image: Source | None, request: Request) -> Generation:
        return self.generate([request if image is None else replace(request, image=as_seen(image))])[0]

    def _prepared(self, request: Request) -> Request:
        image = None if request.image is None else as_seen(request.image)
        options, adapter = request.options.over(self.options), request.adapter or self.adapter
        return replace(request, image=image, options=options, adapter=adapter)


def _without_repeats(phrase: GroundedPhrase) -> GroundedPhrase:
    """Drop exact repeats of boxes, which a small model may write."""
    return GroundedPhrase(phrase.text, tuple(dict.fromkeys(phrase.boxes)), phrase.start)
