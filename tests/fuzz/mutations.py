"""Ways in which files are damaged, by chance or on purpose."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

# What numbers in hostile headers are: nothing, the largest, the sign's change, a length that is not there.
_EXTREMES = (
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\1",
)


def damaged(seeds: st.SearchStrategy[bytes], changes: int = 6) -> st.SearchStrategy[bytes]:
    """Return a strategy of `seeds` with up to `changes` parts overwritten, cut out, repeated or mixed."""
    return st.builds(_apply, seeds, st.lists(_change(seeds), min_size=1, max_size=changes))


def _change(seeds: st.SearchStrategy[bytes]) -> st.SearchStrategy[Callable[[bytes], bytes]]:
    place = st.floats(0, 1, exclude_max=True)
    new = st.one_of(st.sampled_from(_EXTREMES), st.binary(min_size=1, max_size=8))
    return st.one_of(
        st.builds(_overwrite, place, new),
        st.builds(_insert, place, new),
        st.builds(_cut, place, st.integers(1, 64)),
        st.builds(_repeat, place, st.integers(1, 64), st.integers(2, 50)),
        st.builds(_end, place),
        st.builds(_go_on_with, place, seeds),
    )


def _apply(content: bytes, changes: list[Callable[[bytes], bytes]]) -> bytes:
    for change in changes:
        content = change(content)
    return content


def _overwrite(place: float, new: bytes) -> Callable[[bytes], bytes]:
    return lambda old: old[: int(place * len(old))] + new + old[int(place * len(old)) + len(new) :]


def _insert(place: float, new: bytes) -> Callable[[bytes], bytes]:
    return lambda old: old[: int(place * len(old))] + new + old[int(place * len(old)) :]


def _cut(place: float, length: int) -> Callable[[bytes], bytes]:
    return lambda old: old[: int(place * len(old))] + old[int(place * len(old)) + length :]


def _repeat(place: float, length: int, times: int) -> Callable[[bytes], bytes]:
    def change(old: bytes) -> bytes:
        start = int(place * len(old))
        return old[:start] + old[start : start + length] * times + old[start + length :]

    return change


def _end(place: float) -> Callable[[bytes], bytes]:
    return lambda old: old[: int(place * len(old))]


def _go_on_with(place: float, other: bytes) -> Callable[[bytes], bytes]:
    return lambda old: old[: int(place * len(old))] + other[int(place * len(other)) :]


__all__ = ["damaged"]
