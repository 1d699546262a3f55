"""Every kind of photo opens as people see it, or fails with one line and a remedy."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageFile

from assistant.vlm.errors import ImageError
from assistant.vlm.pictures import LONG_SIDE, Picture, colours, formats, open_picture, opening

RED, BLUE, GREEN, WHITE = (255, 0, 0), (0, 0, 255), (0, 128, 0), (255, 255, 255)
TRANSPOSITIONS = {  # what a camera held that way stores, as the inverse of what must be undone
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.fixture(autouse=True)
def _nothing_is_printed_or_warned(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert capfd.readouterr() == ("", "")


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def quarters() -> Image.Image:
    """Return 40 x 20 pixels: red, blue over green, white; all its orientations differ."""
    image = Image.new("RGB", (40, 20))
    for colour, corner in ((RED, (0, 0)), (BLUE, (20, 0)), (GREEN, (0, 10)), (WHITE, (20, 10))):
        image.paste(colour, (*corner, corner[0] + 20, corner[1] + 10))
    return image


def assert_shows_quarters(image: Image.Image) -> None:
    assert (image.mode, image.size) == ("RGB", (40, 20))
    seen = np.asarray(image).astype(int)
    for colour, (x, y) in ((RED, (10, 5)), (BLUE, (30, 5)), (GREEN, (10, 15)), (WHITE, (30, 15))):
        assert np.abs(seen[y, x] - colour).max() <= 8, (colour, x, y)


def refusal(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        open_picture(source)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message, "a remedy follows what is wrong"
    return message


def png_of(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size that its data does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


# --- opened ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright_however_the_camera_was_held(form: str, orientation: int) -> None:
    turn = TRANSPOSITIONS[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"quality": 95, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    )
    picture = open_picture(encoded(stored, form, exif=exif, **options))
    assert_shows_quarters(picture.image)
    assert (picture.width, picture.height, picture.notes) == (40, 20, ())


@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00MM\x00*\x00\x00\xff\xff"])
def test_broken_exif_does_not_keep_a_photo_from_opening(exif: bytes) -> None:
    picture = open_picture(encoded(quarters(), "JPEG", exif=exif, quality=95, subsampling=0))
    assert_shows_quarters(picture.image)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM"])
def test_each_allowed_format_opens_and_is_named(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "AVIF" else {}
    picture = open_picture(encoded(quarters(), form, **options))
    assert_shows_quarters(picture.image)
    assert (picture.format, picture.notes) == (form, ())


def test_a_cmyk_photo_has_the_colours_of_the_rgb_one() -> None:
    content = encoded(quarters().convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    assert_shows_quarters(open_picture(content).image)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(form: str) -> None:
    ramp = np.arange(256, dtype=np.uint16)[None].repeat(4, axis=0) * 257
    picture = open_picture(encoded(Image.fromarray(ramp), form))
    assert np.array_equal(np.asarray(picture.image)[0, :, 0], np.arange(256))
    assert picture.notes == ()


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    picture = open_picture(encoded(Image.fromarray(np.full((4, 4), 2570, dtype=np.uint16)), "PNG"))
    assert picture.image.getpixel((0, 0)) == (10, 10, 10)


def test_floats_are_shown_from_black_to_white_and_a_note_says_so() -> None:
    values = np.linspace(-3.0, 7.0, 256, dtype=np.float32)[None].repeat(4, axis=0)
    picture = open_picture(encoded(Image.fromarray(values), "TIFF"))
    assert np.array_equal(np.asarray(picture.image)[0, :, 0], np.arange(256))
    assert picture.notes == ("values -3 to 7 shown from black to white",)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_what_is_transparent_is_white_and_what_is_not_keeps_its_colour(mode: str, form: str) -> None:
    layer = Image.new(mode, (20, 10), (0,) * len(mode))
    layer.paste((0,) * (len(mode) - 1) + (255,), (0, 0, 10, 10))
    picture = open_picture(encoded(layer, form, **({"lossless": True} if form == "WEBP" else {})))
    assert picture.image.getpixel((5, 5)) == (0, 0, 0)
    assert picture.image.getpixel((15, 5)) == WHITE
    assert picture.notes == ("transparency shown on white",)


def test_half_transparent_black_is_grey() -> None:
    picture = open_picture(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))
    assert picture.image.getpixel((0, 0)) == (127, 127, 127)


def test_an_opaque_picture_with_an_alpha_channel_gets_no_note() -> None:
    assert open_picture(encoded(quarters().convert("RGBA"), "PNG")).notes == ()


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([0, 200, 0, 255, 0, 0])
    image.paste(1, (0, 0, 10, 10))
    picture = open_picture(encoded(image, "PNG", transparency=0))
    assert (picture.image.getpixel((5, 5)), picture.image.getpixel((15, 5))) == (RED, WHITE)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_used_and_a_note_says_so(form: str) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if form == "WEBP" else {}
    content = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100, **options)
    picture = open_picture(content)
    assert picture.image.getpixel((15, 10)) == RED
    assert picture.notes == ("animated: the first of 3 frames is used",)


def test_of_several_pages_the_first_is_used() -> None:
    pages = [Image.new("RGB", (30, 20), colour) for colour in (RED, BLUE)]
    picture = open_picture(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert picture.image.getpixel((15, 10)) == RED
    assert picture.notes == ("several pages: the first of 2 is used",)


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_iphones_picture_is_opened_upright(orientation: int) -> None:
    turn = TRANSPOSITIONS[orientation]
    photo = quarters().resize((160, 80), Image.Resampling.NEAREST)
    heic = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(photo if turn is None else photo.transpose(turn)).save(
        heic, quality=100, chroma=444, exif=exif.tobytes()
    )
    picture = open_picture(heic.getvalue())
    assert (picture.format, picture.width, picture.height, picture.notes) == ("HEIF", 160, 80, ())
    assert_shows_quarters(picture.image.resize((40, 20), Image.Resampling.NEAREST))


def test_without_its_package_a_heic_picture_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    message = refusal(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    assert "pip install pillow-heif" in message
    assert "export it as JPEG" in message


def test_opening_an_iphones_picture_registers_nothing_in_pillow() -> None:
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(heic)
    open_picture(heic.getvalue())
    assert "HEIF" not in Image.OPEN


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
def test_a_single_pixel_is_a_picture(form: str) -> None:
    picture = open_picture(encoded(Image.new("RGB", (1, 1), WHITE), form))
    assert (picture.image.size, picture.width, picture.height) == ((1, 1), 1, 1)


def test_a_large_photo_is_reduced_but_reports_its_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (12000, 9000), RED), "JPEG", exif=exif)
    picture = open_picture(content)
    assert (picture.width, picture.height) == (9000, 12000)
    assert picture.image.size == (3072, 4096)
    assert picture.notes == ("reduced from 9000 x 12000 to 3072 x 4096 pixels",)


def test_a_large_photo_is_reduced_while_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    in_rgb = colours.in_rgb

    def noted(image: Image.Image, size: tuple[int, int]) -> Any:
        decoded.append(image.size)
        return in_rgb(image, size)

    monkeypatch.setattr(colours, "in_rgb", noted)
    open_picture(encoded(Image.new("L", (9000, 300)), "JPEG"))
    assert decoded == [(4500, 150)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_a_picture_of_any_mode_is_reduced_to_the_long_side(mode: str) -> None:
    picture = open_picture(Image.new(mode, (2 * LONG_SIDE, 10)))
    assert (picture.image.mode, picture.image.size) == ("RGB", (LONG_SIDE, 5))
    assert (picture.width, picture.height) == (2 * LONG_SIDE, 10)


@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_fine_lines_of_a_large_scan_turn_grey_instead_of_vanishing(mode: str) -> None:
    stripes = np.zeros((8, 2 * LONG_SIDE), dtype=np.uint8)
    stripes[:, ::2] = 255
    seen = np.asarray(open_picture(Image.fromarray(stripes).convert(mode)).image)
    assert np.abs(seen[:, 10:-10].astype(int) - 127).max() <= 20


def test_a_reduced_line_keeps_at_least_one_pixel() -> None:
    assert open_picture(Image.new("RGB", (3 * LONG_SIDE, 1))).image.size == (LONG_SIDE, 1)


# --- where it comes from ---------------------------------------------------------------------------------


def test_path_text_bytes_and_open_file_give_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    content = encoded(quarters(), "PNG")
    path.write_bytes(content)
    with path.open("rb") as file:
        found = [open_picture(source) for source in (path, str(path), content, file, io.BytesIO(content))]
    assert {picture.sha256 for picture in found} == {hashlib.sha256(content).hexdigest()}
    assert [picture.path for picture in found] == [str(path), str(path), None, None, None]
    for picture in found:
        assert_shows_quarters(picture.image)


def test_an_upload_that_was_read_before_is_read_again() -> None:
    upload = io.BytesIO(encoded(quarters(), "PNG"))
    upload.read()
    assert_shows_quarters(open_picture(upload).image)


@pytest.mark.parametrize("name", ["a.jpg", "a.jfif", "a.jpe", "a.mpo", "a.JPG_large", "a", "a.heic", ".png"])
def test_the_name_of_a_file_does_not_decide_its_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(quarters(), "PNG"))
    assert open_picture(path).format == "PNG"


def test_a_picture_in_memory_stays_as_it_is_and_is_copied() -> None:
    image = quarters()
    before = image.tobytes()
    picture = open_picture(image)
    picture.image.paste((0, 0, 0), (0, 0, 40, 20))
    assert image.tobytes() == before
    assert (picture.format, picture.path, picture.width) == ("memory", None, 40)


def test_equal_pictures_in_memory_have_equal_hashes_and_others_not() -> None:
    first, same, other = quarters(), quarters(), quarters().transpose(Image.Transpose.ROTATE_180)
    assert open_picture(first).sha256 == open_picture(same).sha256
    assert open_picture(first).sha256 != open_picture(other).sha256


def test_a_picture_can_be_a_key() -> None:
    content = encoded(quarters(), "PNG")
    assert {open_picture(content): 1}[open_picture(content)] == 1
    assert "sha256" in repr(open_picture(content))
    assert isinstance(open_picture(content), Picture)


# --- refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), form)
    assert "damaged" in refusal(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"just some text\n", "not an image"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html><title>cat</title>", "web page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\xff\xd8\xff", "this JPEG file is damaged, or of a rare kind"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2mp41", "a video"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "a camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's raw file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"PK\x03\x04\x14\x00", "an archive or a document"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"v/1\x01\x02\x00\x00\x00", "OpenEXR"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"8BPS\x00\x01" + bytes(20), "PSD images cannot be opened"),
        (b"BM" + bytes(12) + b"\x99" + bytes(200), "this kind cannot be opened (Unsupported BMP header"),
    ],
)
def test_what_is_no_picture_is_refused_by_what_it_is(content: bytes, what: str) -> None:
    assert what in refusal(content)


def test_a_format_outside_the_list_is_refused_by_its_name() -> None:
    assert "ICO images cannot be opened; save it as PNG or JPEG" in refusal(encoded(quarters(), "ICO"))


def test_what_nobody_knows_is_refused_and_the_formats_are_listed() -> None:
    message = refusal(b"just some text")
    assert all(form in message for form in formats.FORMATS)


def test_a_tiff_of_a_kind_that_pillow_cannot_read_is_not_called_damaged() -> None:
    tiff = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tiff, "TIFF")
    content = tiff.getvalue().replace(
        struct.pack("<HHIHH", 258, 3, 1, 32, 0), struct.pack("<HHIHH", 258, 3, 1, 24, 0)
    )
    assert content != tiff.getvalue()
    assert "this kind cannot be opened (unknown pixel mode); save it as an 8-bit PNG" in refusal(content)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1, 60_000_000), "more than 65535 pixels long"),
        ((60_000_000, 1), "more than 65535 pixels long"),
        ((60_000, 60_000), "178 million pixels"),
    ],
)
def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], message: str
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it was decoded"))
    assert message in refusal(png_of(*size))


def frames(number: int) -> bytes:
    """Return a GIF of a pixel that is drawn again and again, 19 bytes each time."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * number + b";"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"P5 #" + b"c" * 2**20, id="a comment without an end"),
        pytest.param(b"P2 1000 1000 255\n" + b"1 " * 10**6, id="many numbers as text"),
        pytest.param(frames(10_000), id="frames without number"),
        pytest.param(
            png_of(8, 8)[:33] + struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt")) * 10**5,
            id="empty chunks",
        ),
    ],
)
def test_a_file_that_keeps_a_reader_busy_is_given_up(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(formats, "SECONDS_LIMIT", 0.02)
    assert "takes more than 0.02 seconds" in refusal(content)


def test_a_large_picture_written_as_text_is_refused_at_once() -> None:
    assert "written as text" in refusal(b"P3 5000 5000 255\n" + b"1 2 3 " * 1000)


def test_libraries_write_nothing_to_the_terminal() -> None:
    tiff = encoded(quarters(), "TIFF", compression="tiff_lzw")
    broken = tiff.replace(tiff[8:20], bytes(12))  # libtiff's own complaint
    many = tiff.replace(
        struct.pack("<HHIHH", 277, 3, 1, 3, 0), struct.pack("<HHIHH", 277, 3, 1, 999, 0)
    )  # logged
    program = (
        "import sys; from assistant.vlm.pictures import open_picture\n"
        "for content in (bytes.fromhex(text) for text in sys.argv[1:]):\n"
        "    try: open_picture(content)\n"
        "    except Exception as error: assert 'the image: ' in str(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, broken.hex(), many.hex()], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_the_limit_is_independent_of_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it was decoded"))
    assert "178 million pixels" in refusal(png_of(13400, 13400))


def test_a_file_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FILE_LIMIT", 1024**2)
    assert "larger than 1 MB" in refusal(Path("/dev/zero"))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(quarters(), "PNG"))
    with path.open("r+b") as file:
        file.truncate(500 * 10**6)
        file.read = lambda *_: pytest.fail("it was read")  # type: ignore[method-assign]
        assert "larger than 256 MB" in refusal(file)
    assert "larger than 256 MB" in refusal(path)


@pytest.mark.parametrize(
    "source", [None, 3, ["photo.jpg"], np.zeros((4, 4, 3)), np.zeros((3, 4, 9), np.uint8)]
)
def test_what_cannot_be_a_picture_is_refused_with_what_can(source: object) -> None:
    assert "; give " in refusal(source)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("missing.png", "there is no such file"),
        ("", "this is a folder"),
        ("two\nlines.png", "there is no such file"),
        ("null\0.png", "cannot be read"),
        ("long" * 200, "cannot be read"),
    ],
)
def test_a_path_that_gives_no_file_is_refused_in_one_line(tmp_path: Path, name: str, what: str) -> None:
    message = refusal(f"{tmp_path}/{name}")
    assert what in message
    assert len(message) < 330


def test_a_url_must_be_downloaded_first() -> None:
    assert "download it first" in refusal("https://example.org/cat.jpg")


def test_a_file_without_permission_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    assert "permissions" in refusal(tmp_path / "private.png")


def test_a_picture_without_pixels_is_refused() -> None:
    assert "no pixels" in refusal(Image.new("RGB", (0, 5)))


def test_values_that_are_no_numbers_are_refused() -> None:
    values = np.array([[0.0, np.inf]], dtype=np.float32)
    assert "not numbers" in refusal(Image.fromarray(values))


# --- nothing global --------------------------------------------------------------------------------------


def test_threads_that_open_pictures_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    content = encoded(Image.new("RGB", (300, 200)), "PNG")
    threads = [threading.Thread(target=lambda: [open_picture(content) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_pillows_settings_stay_as_they_were() -> None:
    settings = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    open_picture(quarters())
    refusal(png_of(60000, 60000))
    assert settings == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
