"""Real-world image files through `assistant ask`: each is answered, or refused in one line."""

from __future__ import annotations

import json
import os
import struct
import threading
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from assistant.storage import SessionStore

from .conftest import Command, Result
from .fakes import ScriptedEngine

QUESTION = "where is the dog?"
SIZE = (80, 60)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def coloured(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize(SIZE).convert("RGB").convert(mode)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(coloured(), "JPEG", exif=exif)


def transparent() -> Image.Image:
    image = coloured("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    return saved(coloured(), kind, save_all=True, append_images=others, duration=100)


def sixteen_bits() -> bytes:
    return saved(Image.new("I;16", SIZE, 40_000), "PNG")


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A black and white PNG whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def bytes_of_a_large_photo() -> bytes:
    return png(12_000, 9_000, bytes((1 + 12_000 // 8) * 9_000))


ANSWERED: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(coloured(), "JPEG"),
    "grey jpeg": lambda: saved(coloured("L"), "JPEG"),
    "progressive jpeg": lambda: saved(coloured(), "JPEG", progressive=True),
    "cmyk jpeg": lambda: saved(coloured("CMYK"), "JPEG"),
    "mpo": lambda: saved(coloured(), "MPO", save_all=True, append_images=[coloured()]),
    "jpeg with bytes behind it": lambda: saved(coloured(), "JPEG") + b"\0" * 100,
    "jpeg with broken exif": lambda: saved(coloured(), "JPEG", exif=b"Exif\0\0MM\0*broken"),
    "png": lambda: saved(coloured(), "PNG"),
    "palette png": lambda: saved(coloured("P"), "PNG"),
    "black and white png": lambda: saved(coloured("1"), "PNG"),
    "16-bit png": sixteen_bits,
    "png without its last bytes": lambda: saved(coloured(), "PNG")[:-14],
    "webp": lambda: saved(coloured(), "WEBP"),
    "gif": lambda: saved(coloured("P"), "GIF"),
    "avif": lambda: saved(coloured(), "AVIF"),
    "tiff": lambda: saved(coloured(), "TIFF"),
    "compressed tiff": lambda: saved(coloured(), "TIFF", compression="tiff_lzw"),
    "cmyk tiff": lambda: saved(coloured("CMYK"), "TIFF"),
    "bmp": lambda: saved(coloured(), "BMP"),
    "ppm": lambda: saved(coloured(), "PPM"),
    "pgm": lambda: saved(coloured("L"), "PPM"),
}
NOTED: dict[str, tuple[Callable[[], bytes], str]] = {
    "transparent png": (lambda: saved(transparent(), "PNG"), "transparency shown on white"),
    "palette png with a transparent colour": (
        lambda: saved(coloured("P"), "PNG", transparency=0),
        "transparency shown on white",
    ),
    "float tiff": (lambda: saved(coloured("F"), "TIFF"), "values 2 to 253 shown from black to white"),
    "transparent webp": (lambda: saved(transparent(), "WEBP"), "transparency shown on white"),
    "animated gif": (lambda: animated("GIF"), "animated: the first of 3 frames is used"),
    "animated webp": (lambda: animated("WEBP"), "animated: the first of 3 frames is used"),
    "animated png": (lambda: animated("PNG"), "animated: the first of 3 frames is used"),
    "tiff of several pages": (lambda: animated("TIFF"), "several pages: the first of 3 is used"),
}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "text": (lambda: b"not a picture\n" * 9, "this is not an image"),
    "truncated jpeg": (lambda: saved(coloured(), "JPEG")[:400], "damaged"),
    "truncated png": (lambda: saved(transparent(), "PNG")[:150], "damaged"),
    "truncated webp": (lambda: saved(coloured(), "WEBP")[:100], "damaged"),
    "truncated gif": (lambda: saved(coloured("P"), "GIF")[:100], "damaged"),
    "truncated avif": (lambda: saved(coloured(), "AVIF")[:300], "damaged"),
    "truncated tiff": (lambda: saved(coloured(), "TIFF")[:200], "damaged"),
    "truncated compressed tiff": (lambda: saved(coloured(), "TIFF", compression="tiff_lzw")[:500], "damaged"),
    "zeros in a jpeg": (lambda: saved(coloured(), "JPEG")[:100] + b"\0" * 500, "damaged"),
    "bomb": (lambda: png(100_000, 100_000), "more than 178 million pixels"),
    "no pixels": (lambda: b"P6 0 0 255\n", "damaged"),
    "heic": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 99, "incomplete or damaged"),
    "pdf": (lambda: b"%PDF-1.7\n", "PDF"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "web page": (lambda: b"<!DOCTYPE html><html></html>", "web page"),
    "icon": (lambda: saved(coloured(), "ICO"), "ICO images cannot be opened"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS images"),
}


def assert_refused(result: Result, words: str) -> None:
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert result.err.count("\n") == 1
    assert words in result.err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "photo.jpg"  # whatever its content: extensions are often wrong


@pytest.mark.parametrize("name", ANSWERED)
def test_a_picture_is_answered_without_a_word_more(
    command: Command, file: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(ANSWERED[name]())
    result = command("ask", file, QUESTION, "--json")
    assert (result.code, result.err) == (0, "")
    assert capfd.readouterr().err == ""  # nor from a native library
    answer = json.loads(result.out)
    assert (answer["image"]["width"], answer["image"]["height"]) == SIZE
    assert answer["steps"][0]["boxes"][0]["box"] == [9.6, 18.0, 28.0, 55.2]


@pytest.mark.parametrize("name", NOTED)
def test_notes_about_a_picture_are_on_stderr(command: Command, file: Path, name: str) -> None:
    make, note = NOTED[name]
    file.write_bytes(make())
    result = command("ask", file, QUESTION, "--json")
    assert (result.code, result.err) == (0, f"Note: {note}\n")
    assert json.loads(result.out)["answer"] == "The dog is on the left."


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_opened_is_refused_in_one_line_and_nothing_is_kept(
    command: Command,
    engine: ScriptedEngine,
    file: Path,
    name: str,
    database: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make, words = REFUSED[name]
    file.write_bytes(make())
    result = command("ask", file, QUESTION)
    assert_refused(result, words)
    assert str(file) in result.err
    assert capfd.readouterr().err == ""
    assert engine.requests == []
    assert not database.exists()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phones_picture_is_seen_and_kept_upright(
    command: Command, engine: ScriptedEngine, file: Path, database: Path, orientation: int
) -> None:
    file.write_bytes(turned(orientation))
    answer = json.loads(command("ask", file, QUESTION, "--json").out)
    upright = SIZE if orientation < 5 else SIZE[::-1]
    assert (answer["image"]["width"], answer["image"]["height"]) == upright
    (request,) = engine.requests
    assert request.image is not None
    assert request.image.size == upright
    with SessionStore.open(database) as store:
        kept = store.turns(answer["session"])[0].image
    assert kept is not None
    assert (kept.width, kept.height, kept.sha256) == (*upright, answer["image"]["sha256"])


@pytest.mark.parametrize("name", [*ANSWERED, *NOTED])
def test_the_file_is_kept_as_it_was_and_can_be_asked_about_again(
    command: Command, file: Path, database: Path, name: str
) -> None:
    content = (ANSWERED.get(name) or NOTED[name][0])()
    file.write_bytes(content)
    session = json.loads(command("ask", file, QUESTION, "--json").out)["session"]
    with SessionStore.open(database) as store:
        image = store.turns(session)[0].image
        assert image is not None
        path = store.image_path(image.sha256)
    assert path.read_bytes() == content
    assert command("ask", path, "what colour is it?", "--session", session).out == "Brown.\n"


def test_the_smallest_picture_is_answered_whole_and_in_part(command: Command, file: Path) -> None:
    file.write_bytes(saved(Image.new("RGB", (1, 1), "red"), "PNG"))
    for question in (QUESTION, "what is this?", "what colour is it?"):
        for region in ((), ("--region", "0,0,1,1")):
            result = command("ask", file, question, *region, "--save", file.with_name("found.png"))
            assert result.code == 0, result


def test_a_large_picture_is_reduced_with_a_note(command: Command, engine: ScriptedEngine, file: Path) -> None:
    file.write_bytes(bytes_of_a_large_photo())
    result = command("ask", file, QUESTION, "--json")
    assert (result.code, result.err) == (0, "Note: reduced from 12000 x 9000 to 4096 x 3072 pixels\n")
    assert json.loads(result.out)["steps"][0]["boxes"][0]["box"] == [1440.0, 2700.0, 4200.0, 8280.0]
    assert engine.requests[0].image is not None
    assert engine.requests[0].image.size == (4096, 3072)


def test_a_folder_and_a_missing_file_are_refused(command: Command, tmp_path: Path) -> None:
    assert_refused(command("ask", tmp_path, QUESTION), "this is a folder")
    assert_refused(command("ask", tmp_path / "nowhere.jpg", QUESTION), "there is no such file")
    assert_refused(command("ask", "https://example.org/dog.jpg", QUESTION), "download it first")
    assert_refused(command("ask", "no\nsuch\nfile.jpg", QUESTION), "there is no such file")
    assert_refused(command("ask", "\0", QUESTION), "cannot be read")
    assert_refused(command("ask", "", QUESTION), "Error: ")


def test_a_name_that_is_no_unicode_is_taken(command: Command, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \n.jpg")
    path.write_bytes(saved(coloured(), "JPEG"))
    assert json.loads(command("ask", path, QUESTION, "--json").out)["image"]["path"] == str(path)
    assert_refused(command("ask", f"{path}.png", QUESTION), "there is no such file")


def test_a_pipe_is_read_once(command: Command, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(saved(coloured(), "JPEG"),))
    writer.start()
    result = command("ask", pipe, QUESTION)
    writer.join()
    assert (result.code, result.out) == (0, "The dog is on the left.\n")
