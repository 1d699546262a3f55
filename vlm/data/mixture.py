"""Mix sources into one training stream that its seed determines."""

from __future__ import annotations

import logging
import random
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset

from ..errors import AssistantError, DataError
from ..models.weights import cache_folder
from ..prompt_form import OURS, PromptForm
from .configuration import PHOTOS, PLANNING, MixtureConfig, SourceConfig
from .instructions import Sample
from .lengths import IMAGE_TOKENS, text_length
from .messages import MESSAGES, MessageStream, read_messages
from .photos import PhotoFolder
from .recipes import RECIPES
from .record_file import cached_records
from .sources import SOURCES, Source
from .sources.own import OwnRecords, is_own
from .streams import Draw, PhotoStream, RecordStream, Stream
from .wordings import open_for_training

logger = logging.getLogger(__name__)

# Unreadable images to replace in a row before giving up on the data.
ATTEMPTS = 10


@dataclass(frozen=True)
class Example:
    """An image or None, the samples about it, and its human captions where known."""

    image: Image.Image | None
    samples: list[Sample]
    references: tuple[str, ...] = ()


class InstructionMixture(Dataset[Example]):
    """`length` examples from several streams, each drawn according to its ratio.

    An example depends on the seed and its index alone, so a run can resume anywhere and processes can divide
    the indices. An unreadable image is an error; with `skip_broken` another one is drawn in its place.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        ratios: Mapping[str, float],
        length: int,
        seed: int,
        *,
        skip_broken: bool = False,
    ) -> None:
        self.streams = [streams[name] for name in ratios if ratios[name] > 0]
        self.length = length
        self.seed = seed
        self.skip_broken = skip_broken
        self._cumulative_ratios = list(accumulate(ratio for ratio in ratios.values() if ratio > 0))

    def __len__(self) -> int:
        return self.length

    @property
    def crops(self) -> bool:
        """Whether some examples show random crops."""
        return any(stream.crops for stream in self.streams)

    def references(self) -> list[tuple[str, ...]]:
        """Return the human captions of each image that has some."""
        return [captions for stream in self.streams for captions in stream.references()]

    def __getitem__(self, index: int) -> Example:
        for attempt in range(ATTEMPTS):
            drawn = self.draw(index, attempt)
            try:
                return Example(drawn.image(), drawn.samples, drawn.references)
            except DataError as error:
                if not self.skip_broken:
                    raise
                logger.warning("skipped: %s", error)
        raise DataError(f"cannot read {ATTEMPTS} images in a row: check the data and the disk")

    def length_of(self, index: int) -> int:
        """Estimate the tokens of an example, without reading its image."""
        drawn = self.draw(index)
        exchanges = (exchange for sample in drawn.samples for exchange in sample.exchanges)
        text = sum(text_length(exchange.turn) for exchange in exchanges)
        return text + (IMAGE_TOKENS if drawn.picture is not None else 0)

    def draw(self, index: int, attempt: int = 0) -> Draw:
        """Return the draw at an index, without reading its image.

        `attempt` counts the unreadable images drawn there before.
        """
        point = random.Random(f"{self.seed}:{index}:source").random() * self._cumulative_ratios[-1]
        stream = self.streams[min(bisect_right(self._cumulative_ratios, point), len(self.streams) - 1)]
        # Further attempts draw indices beyond the end of the run.
        return stream.draw(index + attempt * self.length, self.seed)


def open_mixture(
    data: Path,
    split: str,
    config: MixtureConfig,
    length: int,
    seed: int,
    *,
    form: PromptForm = OURS,
    skip_broken: bool = False,
) -> InstructionMixture:
    """Open the sources of a mixture under `data` and mix them.

    `data` is a folder of annotated photos (of which `split` is used), a `.jsonl` file of records written by
    hand, or the folder of published datasets. Records use the prompt form `form`, photos always ours. With
    `skip_broken`, invalid rows and images are skipped and logged.

    Raises:
        DataError: a source is missing, or a row is invalid (the error names it).
        AssistantError: a recipe or source is unknown, or no ratio is above 0.
    """
    ratios = _ratios(config)
    streams = {
        name: _open(name, data, split, config, form, skip_broken=skip_broken)
        for name, ratio in ratios.items()
        if ratio > 0
    }
    return InstructionMixture(streams, ratios, length, seed, skip_broken=skip_broken)


def _ratios(config: MixtureConfig) -> dict[str, float]:
    """Return the ratios of the recipe, overridden and extended by those of the config."""
    if config.recipe not in RECIPES:
        raise AssistantError(f"no recipe {config.recipe!r}: choose one of {', '.join(RECIPES)}")
    ratios = RECIPES[config.recipe] | config.ratios
    known = (PHOTOS, PLANNING, *SOURCES)
    unknown = [name for name in ratios if name not in known]
    if unknown:
        raise AssistantError(f"no source {unknown[0]!r}: choose among {', '.join(known)}")
    low = [name for name, ratio in ratios.items() if ratio < 0]
    if low:
        raise AssistantError(f"the ratio of {low[0]} is below 0: give 0 to leave a source out")
    if not any(ratios.values()):
        raise AssistantError("no source has a ratio above 0: there is nothing to train on")
    stray = [name for name in config.sources if name not in ratios]
    if stray:
        raise AssistantError(f"the source {stray[0]} has no ratio: give it one, or leave it out")
    return ratios


def _open(
    name: str, data: Path, split: str, config: MixtureConfig, form: PromptForm, *, skip_broken: bool
) -> Stream:
    place = config.sources.get(name, SourceConfig())
    if name == PLANNING:
        return MessageStream(read_messages(place.path or MESSAGES, held_out=False), config.messages)
    own = place.path or data
    if name == PHOTOS and not is_own(own):
        return PhotoStream(PhotoFolder(own, split, skip_broken=skip_broken), config)
    source: Source = OwnRecords(own) if name == PHOTOS else open_for_training(name, data, place, form)
    records = cached_records(source, cache_folder() / "records", skip_broken=skip_broken)
    return RecordStream(records, config, form)
