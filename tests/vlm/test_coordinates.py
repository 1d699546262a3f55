"""Coordinates as medians: which digits are written for what the model thinks possible."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assistant.vlm.engine.coordinates import MedianCoordinates

PIECES = [*"0123456789", "<", "><", ">", "{", "}", "dog"]


class Tokenizer:
    """Knows a token for each piece."""

    def convert_tokens_to_ids(self, text: str) -> int:
        return PIECES.index(text)


def ids(*pieces: str) -> list[int]:
    return [PIECES.index(piece) for piece in pieces]


def logits(**chances: float) -> torch.Tensor:
    names = {"end": "><", **{f"d{digit}": str(digit) for digit in range(10)}, "dog": "dog"}
    values = torch.full((len(PIECES),), -30.0)
    for name, chance in chances.items():
        values[PIECES.index(names[name])] = torch.tensor(chance).log()
    return values


def written(*passes: torch.Tensor, before: tuple[str, ...] = ("{", "<")) -> str:
    chooser, tokens = MedianCoordinates(Tokenizer()), ids(*before)
    for chances in passes:
        tokens.append(chooser.likeliest(tokens, chances)[0])
    return "".join(PIECES[token] for token in tokens[len(before) :])


class TestMedianCoordinates:
    def test_a_sure_model_is_written_as_it_is(self) -> None:
        assert written(logits(d3=1.0), logits(d8=1.0)) == "38"

    def test_between_two_guesses_the_median_is_written(self) -> None:
        # 10 with 0.4, 30 to 39 alike with 0.35, 50 with 0.25: the median is 32 or 33.
        first = logits(d1=0.4, d3=0.35, d5=0.25)
        second = logits(**{f"d{digit}": 0.1 for digit in range(10)})
        assert written(first, second) == "32"

    def test_the_second_digit_says_how_far_into_the_first_the_median_is(self) -> None:
        second = logits(**{f"d{digit}": 0.1 for digit in range(10)})
        assert written(logits(d2=0.45, d4=0.55), second) == "40"
        assert written(logits(d2=0.05, d4=0.95), second) == "44"

    def test_a_coordinate_of_one_digit_may_end_behind_it(self) -> None:
        assert written(logits(d7=1.0), logits(end=0.9, d5=0.1)) == "7><"

    def test_a_right_corner_near_the_border_takes_a_first_1_for_100(self) -> None:
        before = ("{", "<", "1", "0", "><", "2", "0", "><")
        assert written(logits(d1=0.6, d9=0.4), logits(d0=1.0), before=before) == "10"
        assert written(logits(d1=0.4, d9=0.6), logits(d8=1.0), before=before) == "98"

    def test_words_are_written_as_the_model_likes_best(self) -> None:
        assert written(logits(dog=0.6, d1=0.4), before=("{",)) == "dog"
        assert written(logits(dog=0.6, d1=0.4)) == "dog"

    @given(
        st.lists(st.floats(0.01, 1), min_size=10, max_size=10),
        st.lists(st.floats(0.01, 1), min_size=10, max_size=10),
    )
    def test_it_is_the_median_of_all_coordinates(self, first: list[float], second: list[float]) -> None:
        first[1] = 0.0  # might be 100
        tens = {f"d{digit}": share / sum(first) for digit, share in enumerate(first) if share}
        units = {f"d{digit}": share / sum(second) for digit, share in enumerate(second)}
        found = int(written(logits(**tens), logits(**units)))
        chance = {10 * t + u: tens.get(f"d{t}", 0) * units[f"d{u}"] for t in range(10) for u in range(10)}
        below = sum(share for value, share in chance.items() if value < found)
        assert below <= 0.5 + 1e-3
        assert below + chance[found] >= 0.5 - 1e-3

    def test_the_probability_is_that_of_the_token(self) -> None:
        chooser = MedianCoordinates(Tokenizer())
        token, chance = chooser.likeliest(ids("{", "<"), logits(d1=0.4, d3=0.35, d5=0.25))
        assert PIECES[token] == "3"
        assert chance == pytest.approx(0.35, abs=1e-3)
