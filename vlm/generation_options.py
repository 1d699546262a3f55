"""How an answer's tokens are picked, and their maximum number: plain values, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MOST_BEAMS = 16
"""Each beam takes as much memory as an answer."""


@dataclass(frozen=True)
class GenerationOptions:
    """Options of generation; None leaves an option to the model's folder or server.

    A `temperature` of 0, the default, picks the likeliest token; above 0, tokens are sampled, more evenly the
    higher it is. `top_p` samples only from the likeliest tokens that together have this probability. A
    `repetition_penalty` above 1 makes the answer's tokens less likely to recur. `max_new_tokens` limits the
    answer; the default depends on the task. With a `seed`, a repeated request gets the same answer. With 2
    `beams` or more, beam search finds the likeliest whole answer; nothing is sampled or streamed.

    Raises:
        ValueError: an option is out of range.
    """

    temperature: float | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    beams: int | None = None

    def __post_init__(self) -> None:
        _require("temperature", self.temperature, 0 <= (self.temperature or 0) <= 100, "0 to 100")
        _require("top_p", self.top_p, 0 < _or_one(self.top_p) <= 1, "above 0 and at most 1")
        penalty = 0 < _or_one(self.repetition_penalty) <= 100
        _require("repetition_penalty", self.repetition_penalty, penalty, "above 0 and at most 100")
        _require("max_new_tokens", self.max_new_tokens, _or_one(self.max_new_tokens) >= 1, "1 or more")
        _require("seed", self.seed, 0 <= (self.seed or 0) < 2**63, "0 to 2^63 - 1")
        _require("beams", self.beams, 1 <= _or_one(self.beams) <= MOST_BEAMS, f"1 to {MOST_BEAMS}")

    def over(self, defaults: GenerationOptions) -> GenerationOptions:
        """Return these options, with the defaults where one is None."""
        return GenerationOptions(**(asdict(defaults) | self.given()))

    def given(self) -> dict[str, float | int]:
        """Return the options that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _or_one(value: float | None) -> float:
    return 1 if value is None else value


def _require(name: str, value: float | None, fits: bool, wanted: str) -> None:
    if not fits:  # NaN fits nowhere
        raise ValueError(f"{name} is {value}: it must be {wanted}")


DEFAULT_OPTIONS = GenerationOptions()
