"""Colour profiles are applied, and 16-bit and float values scaled to 8 bits."""

from __future__ import annotations

import io
import struct
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms

from assistant.vlm.pictures import open_picture

# The reference white of profiles, from ICC.1.
D50 = (0.9642, 1.0, 0.8249)
# Display P3 as Apple writes it, adapted to D50: red, green, blue.
DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(
    space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """Return an ICC profile of version 4."""
    start, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(data), bytes(4), 0x04000000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + fixed(*values)


def srgb_curve() -> bytes:
    return (
        b"para"
        + bytes(4)
        + struct.pack(">HH", 3, 0)
        + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    )


def of_primaries(primaries: tuple[tuple[float, ...], ...]) -> bytes:
    colours = {
        name + b"XYZ": xyz(*values) for name, values in zip((b"r", b"g", b"b"), primaries, strict=True)
    }
    curves = {name + b"TRC": srgb_curve() for name in (b"r", b"g", b"b")}
    return profile(b"RGB ", {b"wtpt": xyz(*D50), **colours, **curves})


def linear_grey() -> bytes:
    return profile(b"GRAY", {b"wtpt": xyz(*D50), b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0)})


def press() -> bytes:
    """Return a CMYK profile: a table of the L*a*b* colour of each full mixture."""
    looks = []
    for cyan, magenta, yellow, black in product((0, 1), repeat=4):
        light = 95 - 40 * cyan - 45 * magenta - 6 * yellow
        lab = light * (1 - 0.85 * black), -35 * cyan + 70 * magenta, -50 * cyan - 5 * magenta + 90 * yellow
        looks += [max(lab[0], 5) * 2.55, lab[1] + 128, max(min(lab[2], 127), -128) + 128]
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += straight * 4 + bytes(map(round, looks)) + straight * 3
    return profile(b"CMYK", {b"wtpt": xyz(*D50), b"A2B0": table}, b"prtr", b"Lab ")


def shown(image: Image.Image, form: str, **options: object) -> tuple[np.ndarray, tuple[str, ...]]:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    picture = open_picture(buffer.getvalue())
    return np.asarray(picture.image).astype(int), picture.notes


# --- profiles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p3", "srgb"),
    [
        ((234, 51, 35), (255, 0, 0)),
        ((117, 251, 76), (0, 255, 0)),
        ((0, 0, 245), (0, 0, 255)),
        ((255, 255, 255), (255, 255, 255)),
        ((128, 128, 128), (128, 128, 128)),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_a_phones_wide_colours_are_those_of_srgb(
    form: str, p3: tuple[int, ...], srgb: tuple[int, ...]
) -> None:
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    pixels, notes = shown(Image.new("RGB", (8, 8), p3), form, icc_profile=of_primaries(DISPLAY_P3), **options)
    assert np.abs(pixels - srgb).max() <= 3
    assert notes == ()


def test_a_picture_in_srgb_keeps_every_value() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, notes = shown(Image.fromarray(noise), "PNG", icc_profile=own)
    assert np.array_equal(pixels, noise)
    assert notes == ()


def test_what_is_transparent_stays_so_in_other_colours() -> None:
    layer = Image.new("RGBA", (8, 4), (234, 51, 35, 255))
    layer.paste((234, 51, 35, 0), (4, 0, 8, 4))
    pixels, notes = shown(layer, "PNG", icc_profile=of_primaries(DISPLAY_P3))
    assert np.abs(pixels[:, :4] - (255, 0, 0)).max() <= 3
    assert (pixels[:, 4:] == 255).all()
    assert notes == ("transparency shown on white",)


def test_the_colours_of_a_palette_have_the_profile_too() -> None:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 234, 51, 35])
    pixels, _ = shown(palette, "PNG", icc_profile=of_primaries(DISPLAY_P3))
    assert np.abs(pixels - (255, 0, 0)).max() <= 3


def test_grey_values_of_light_itself_are_shown_as_bright_as_they_are() -> None:
    pixels, _ = shown(Image.new("L", (4, 4), 55), "PNG", icc_profile=linear_grey())
    assert np.abs(pixels - 128).max() <= 1  # 0.2157 of the light is 128 in sRGB


def test_a_grey_picture_may_carry_a_profile_of_colours() -> None:
    pixels, notes = shown(Image.new("L", (4, 4), 100), "JPEG", icc_profile=of_primaries(DISPLAY_P3))
    assert np.abs(pixels - 100).max() <= 1
    assert notes == ()


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_inks_look_as_the_press_prints_them(form: str) -> None:
    inks = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    expected = ImageCms.profileToProfile(
        inks, ImageCms.ImageCmsProfile(io.BytesIO(press())), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    pixels, notes = shown(inks, form, icc_profile=press())
    assert np.abs(pixels - np.asarray(expected)).max() <= 3
    assert np.abs(pixels - np.asarray(inks.convert("RGB"))).max() > 30, "the profile makes the difference"
    assert notes == ()


@pytest.mark.parametrize("broken", [b"no profile", of_primaries(DISPLAY_P3)[:200], linear_grey()])
def test_a_profile_that_does_not_fit_is_left_out_with_a_note(broken: bytes) -> None:
    pixels, notes = shown(Image.new("RGB", (4, 4), (10, 100, 200)), "PNG", icc_profile=broken)
    assert (pixels == (10, 100, 200)).all()
    assert notes == ("its colour profile does not fit it and is left out",)


def test_a_picture_in_lab_is_shown_in_its_colours() -> None:
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (8, 8), (200, 40, 60)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    pixels, _ = shown(lab, "TIFF")
    assert np.abs(pixels - (200, 40, 60)).max() <= 3


def test_an_opened_picture_opened_again_is_the_same() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), (234, 51, 35)).save(
        buffer, "PNG", icc_profile=of_primaries(DISPLAY_P3), exif=exif
    )
    once = open_picture(buffer.getvalue()).image
    again = open_picture(once).image
    assert once.size == again.size == (4, 8)
    assert once.tobytes() == again.tobytes()


# --- more than 8 bits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_twelve_bit_picture_is_shown_from_black_to_white(form: str) -> None:
    ramp = np.linspace(100, 4095, 256).round().astype(np.uint16)[None].repeat(4, axis=0)
    pixels, notes = shown(Image.fromarray(ramp), form)
    assert np.abs(pixels[0, :, 0] - np.arange(256)).max() <= 1
    assert notes == ("values 100 to 4095 shown from black to white",)


def test_a_large_picture_of_floats_has_the_range_of_its_values() -> None:
    values = np.zeros((4, 10_000), dtype=np.float32)
    values[:, 5_000:] = 4.0
    picture = open_picture(Image.fromarray(values))
    assert picture.notes[0] == "values 0 to 4 shown from black to white"
    assert (picture.image.getpixel((0, 0)), picture.image.getpixel((4_000, 0))) == ((0,) * 3, (255,) * 3)


@pytest.mark.parametrize("clear", [0, 65535])
def test_the_transparent_value_of_a_sixteen_bit_picture_is_white_and_out_of_the_range(clear: int) -> None:
    values = np.full((4, 6), clear, dtype=np.uint16)
    values[:, :2], values[:, 2:4] = 1000, 3000
    pixels, notes = shown(Image.fromarray(values), "PNG", transparency=clear)
    assert pixels[0, :, 0].tolist() == [0, 0, 255, 255, 255, 255]
    assert notes == ("values 1000 to 3000 shown from black to white", "transparency shown on white")


def test_a_transparent_colour_of_a_large_picture_leaves_no_seam() -> None:
    image = Image.new("RGB", (8200, 4), (0, 0, 255))
    image.paste((255, 0, 0), (4100, 0, 8200, 4))
    pixels, notes = shown(image, "PNG", transparency=(0, 0, 255))
    assert "transparency shown on white" in notes
    assert (pixels[:, :2040] == 255).all()
    assert (pixels[:, 2060:] == (255, 0, 0)).all()


def test_unsigned_values_of_32_bits_do_not_become_negative() -> None:
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    file = io.BytesIO()
    Image.fromarray(values.view(np.int32)).save(file, "TIFF")
    sample_format = struct.pack("<HHI", 339, 3, 1)  # the tag, one short; 2 is signed, 1 unsigned
    tiff = file.getvalue().replace(sample_format + b"\2", sample_format + b"\1")
    for source in (values, tiff):
        picture = open_picture(source)
        assert [picture.image.getpixel((x, 0)) for x in range(3)] == [(level,) * 3 for level in (0, 128, 255)]
        assert picture.notes == ("values 0 to 4.29497e+09 shown from black to white",)


def test_signed_values_of_32_bits_stay_negative() -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[-100, 0, 100]], np.int32)).save(file, "TIFF")
    picture = open_picture(file.getvalue())
    assert [picture.image.getpixel((x, 0)) for x in range(3)] == [(level,) * 3 for level in (0, 128, 255)]
