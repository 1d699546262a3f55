"""Which images a model may open, and which is the current one."""

from __future__ import annotations

import base64
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from PIL import Image

from assistant.tools import ImageAccess, ImageSource
from assistant.vlm.errors import ImageError
from assistant.vlm.pictures import Source, open_picture

NOTHING = RunnableConfig()


def write(path: Path, width: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, 6), "red").save(path)
    return path


def encoded(width: int = 8) -> bytes:
    data = BytesIO()
    Image.new("RGB", (width, 6), "red").save(data, "PNG")
    return data.getvalue()


def current(image: Any) -> RunnableConfig:
    return RunnableConfig(configurable={"current_image": image})


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """An allowed folder with one image, next to forbidden images."""
    for outside in ("secret.png", "private/secret.png", "allowed-not/secret.png", "ALLOWED/secret.png"):
        write(tmp_path / outside)
    write(tmp_path / "allowed" / "photo.png")
    return tmp_path / "allowed"


@pytest.fixture
def access(allowed: Path) -> ImageAccess:
    return ImageAccess([allowed])


class Album:
    """A source that knows one id."""

    def __init__(self, picture: Source) -> None:
        self.picture = picture
        self.asked: list[str] = []

    def find(self, reference: str) -> Source | None:
        self.asked.append(reference)
        return self.picture if reference == "img-1" else None


# --- paths -----------------------------------------------------------------------------------------------


def test_a_relative_path_is_below_the_allowed_folder(access: ImageAccess) -> None:
    opened = access.open("photo.png", NOTHING)
    assert (opened.reference, opened.picture.width) == ("photo.png", 8)


@pytest.mark.parametrize(
    "inside", ["./photo.png", "../allowed/photo.png", "sub/../photo.png", "{folder}/photo.png", "linked.png"]
)
def test_any_way_to_a_file_inside_is_fine(inside: str, access: ImageAccess, allowed: Path) -> None:
    (allowed / "sub").mkdir()
    (allowed / "linked.png").symlink_to("photo.png")
    assert access.open(inside.format(folder=allowed), NOTHING).picture.width == 8


@pytest.mark.parametrize(
    "outside",
    [
        pytest.param("../secret.png", id="parent"),
        pytest.param("sub/../../secret.png", id="parent-from-below"),
        pytest.param("./././../secret.png", id="parent-behind-dots"),
        pytest.param("{root}/secret.png", id="absolute"),
        pytest.param("/{root}/secret.png", id="absolute-with-two-slashes"),
        pytest.param("{root}/allowed/../secret.png", id="absolute-through-the-folder"),
        pytest.param("{root}/allowed-not/secret.png", id="folder-with-the-same-beginning"),
        pytest.param("../allowed-not/secret.png", id="relative-to-the-same-beginning"),
        pytest.param("../ALLOWED/secret.png", id="folder-in-other-case"),
        pytest.param("{root}/Allowed/photo.png", id="absolute-in-other-case"),
        pytest.param("PHOTO.PNG", id="file-in-other-case"),
        pytest.param("link.png", id="symlink-to-a-file"),
        pytest.param("chain.png", id="symlink-to-a-symlink"),
        pytest.param("linked/secret.png", id="symlink-to-a-folder"),
        pytest.param("linked/../secret.png", id="parent-of-a-linked-folder"),
        pytest.param("loop.png", id="symlink-to-itself"),
        pytest.param("~/secret.png", id="home"),
        pytest.param("~", id="home-alone"),
        pytest.param("$HOME/secret.png", id="variable"),
        pytest.param("%2e%2e/secret.png", id="percent-encoded"),
        pytest.param("..%2fsecret.png", id="percent-encoded-slash"),
        pytest.param("..\\secret.png", id="backslash"),
        pytest.param("../secret.png\0photo.png", id="null-byte"),
        pytest.param("photo.png\0", id="null-byte-behind"),
        pytest.param("\ud800.png", id="surrogate"),
        pytest.param("x" * 900, id="name-too-long"),
        pytest.param("", id="empty"),
        pytest.param(".", id="the-folder"),
        pytest.param("sub", id="a-folder-inside"),
        pytest.param("pipe.png", id="pipe-that-would-block"),
        pytest.param("/dev/zero", id="device-without-end"),
        pytest.param("/dev/stdin", id="standard-input"),
        pytest.param("zero.png", id="symlink-to-a-device"),
        pytest.param("/proc/self/root{root}/secret.png", id="through-proc"),
        pytest.param("/proc/self/environ", id="environment"),
        pytest.param("/etc/passwd", id="passwords"),
        pytest.param("photo.png/../../secret.png", id="parent-of-a-file"),
    ],
)
def test_what_is_not_a_file_in_the_folder_is_refused_in_the_same_words(
    outside: str, access: ImageAccess, allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(allowed.parent))
    (allowed / "sub").mkdir()
    (allowed / "link.png").symlink_to(allowed.parent / "secret.png")
    (allowed / "chain.png").symlink_to("link.png")
    (allowed / "linked").symlink_to(allowed.parent / "private")
    (allowed / "loop.png").symlink_to("loop.png")
    (allowed / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(allowed / "pipe.png")
    reference = outside.format(root=allowed.parent)
    with pytest.raises(ToolException) as refusal:
        access.open(None, current(reference))
    with pytest.raises(ToolException) as missing:
        access.open("no-such-picture.png", NOTHING)
    named = str(missing.value).replace("'no-such-picture.png'", repr(reference[:200]))
    assert str(refusal.value) == named


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "https://example.org/a.png",
        "ftp://x/a.png",
    ],
)
def test_an_address_is_refused(address: str, access: ImageAccess) -> None:
    with pytest.raises(ToolException, match="cannot open addresses"):
        access.open(address, NOTHING)


def test_an_allowed_folder_may_be_a_symlink(allowed: Path) -> None:
    (allowed.parent / "shortcut").symlink_to(allowed)
    access = ImageAccess([allowed.parent / "shortcut"])
    assert access.open("photo.png", NOTHING).picture.width == 8
    assert access.open(str(allowed / "photo.png"), NOTHING).picture.width == 8


def test_by_default_the_working_folder_is_allowed_and_stays_so(
    allowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(allowed)
    access = ImageAccess()
    monkeypatch.chdir(allowed.parent)
    assert access.open("photo.png", NOTHING).picture.width == 8
    with pytest.raises(ToolException, match="no such image"):
        access.open("secret.png", NOTHING)


def test_several_folders_are_searched_in_order(allowed: Path) -> None:
    write(allowed.parent / "more" / "photo.png", width=20)
    write(allowed.parent / "more" / "other.png", width=30)
    access = ImageAccess([allowed, allowed.parent / "more"])
    assert [access.open(name, NOTHING).picture.width for name in ("photo.png", "other.png")] == [8, 30]


def test_no_folder_means_no_path_at_all(allowed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(allowed)
    with pytest.raises(ToolException, match="no such image"):
        ImageAccess([]).open("photo.png", NOTHING)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"GIF89a", b"root:x:0:0"])
def test_a_broken_picture_is_named_as_the_model_named_it(
    content: bytes, access: ImageAccess, allowed: Path
) -> None:
    (allowed / "broken.png").write_bytes(content)
    with pytest.raises(ToolException, match=r"^'broken\.png': \w") as error:
        access.open("broken.png", NOTHING)
    assert str(allowed) not in str(error.value)
    assert "root" not in str(error.value)


def test_a_file_that_cannot_be_read_is_an_error_for_the_model(
    access: ImageAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ToolException, match=r"^'photo\.png': it cannot be read"):
        access.open("photo.png", NOTHING)


# --- ids -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "image"])
def test_a_source_gives_a_picture_by_id_wherever_it_keeps_it(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "store" / "1.png", width=12)
    forms: dict[str, Any] = {"path": path, "text": str(path), "bytes": encoded(12)}
    forms["image"] = Image.new("RGB", (12, 6))
    with_source = ImageAccess([tmp_path / "allowed"], [Album(forms[kind])])
    opened = with_source.open("img-1", NOTHING)
    assert (opened.reference, opened.picture.width) == ("img-1", 12)


def test_sources_are_asked_in_order_and_before_paths(allowed: Path) -> None:
    write(allowed / "img-1.png").rename(allowed / "img-1")
    first, second = Album(encoded(12)), Album(encoded(14))
    access = ImageAccess([allowed], [first, second])
    assert access.open("img-1", NOTHING).picture.width == 12
    assert (first.asked, second.asked) == (["img-1"], [])
    assert access.open("photo.png", NOTHING).picture.width == 8
    assert second.asked == ["photo.png"]


def test_an_unknown_id_is_refused_like_an_unknown_path(allowed: Path) -> None:
    with pytest.raises(ToolException, match=r"^'img-2': there is no such image"):
        ImageAccess([allowed], [Album(encoded())]).open("img-2", NOTHING)


def test_what_goes_wrong_in_a_source_is_an_error_for_the_model() -> None:
    class Broken:
        def find(self, _: str) -> Source | None:
            raise ImageError("the database is busy")

    with pytest.raises(ToolException, match="the database is busy"):
        ImageAccess([], [Broken()]).open("img-1", NOTHING)


def test_a_sources_file_that_is_gone_is_named_by_its_id(tmp_path: Path) -> None:
    with pytest.raises(ToolException, match=r"^'img-1': it cannot be read") as error:
        ImageAccess([], [Album(tmp_path / "gone.png")]).open("img-1", NOTHING)
    assert str(tmp_path) not in str(error.value)


def test_anything_with_a_find_method_is_a_source() -> None:
    assert isinstance(Album(b""), ImageSource)
    assert not isinstance({}, ImageSource)


# --- the current picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(encoded(16), id="bytes"),
        pytest.param(Image.new("RGB", (16, 6)), id="pillow"),
        pytest.param(np.zeros((6, 16, 3), dtype=np.uint8), id="array"),
        pytest.param(open_picture(encoded(16)), id="opened"),
        pytest.param(
            {"type": "image", "base64": base64.b64encode(encoded(16)).decode(), "mime_type": "image/png"},
            id="block",
        ),
        pytest.param(
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{base64.b64encode(encoded(16)).decode()}"},
            },
            id="block-of-another-maker",
        ),
    ],
)
def test_the_current_picture_may_come_in_memory(image: Any) -> None:
    opened = ImageAccess([]).open(None, current(image))
    assert (opened.picture.width, opened.reference) == (16, None)


def test_the_programs_own_path_is_opened_wherever_it_leads(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere" / "photo.png")
    assert ImageAccess([]).open(None, current(path)).reference == str(path)


@pytest.mark.parametrize("form", ["{}", "file-id"])
def test_a_current_picture_given_as_text_is_held_to_the_rules_for_models(form: str, allowed: Path) -> None:
    access = ImageAccess([allowed], [Album(encoded(12))])

    def open_current(text: str) -> int:
        block = {"type": "image", "file_id": text, "mime_type": "image/png"}
        return access.open(None, current(block if form == "file-id" else text)).picture.width

    assert (open_current("img-1"), open_current("photo.png")) == (12, 8)
    with pytest.raises(ToolException, match="no such image"):
        open_current(str(allowed.parent / "secret.png"))


def test_a_named_picture_goes_before_the_current_one(access: ImageAccess) -> None:
    assert access.open("photo.png", current(encoded(16))).picture.width == 8
    assert access.open("", current(encoded(16))).picture.width == 16


@pytest.mark.parametrize("config", [NOTHING, RunnableConfig(configurable={}), current(None)])
def test_no_picture_at_all_is_an_error_that_says_what_to_give(
    config: RunnableConfig, access: ImageAccess
) -> None:
    with pytest.raises(ToolException, match="there is no current image: give `image`"):
        access.open(None, config)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"type": "image", "url": "https://example.org/a.png"}, "links are not followed"),
        ({"type": "text", "text": "a picture"}, "not attached as base64"),
        ({"type": "image", "base64": "not base64!", "mime_type": "image/png"}, "base64 data is damaged"),
        ({"type": "image", "base64": "é", "mime_type": "image/png"}, "base64 data is damaged"),
        (
            {"type": "image", "base64": "aGVsbG8=", "mime_type": "image/png"},
            "^the current image: this is no",
        ),
    ],
)
def test_a_block_without_a_picture_in_it_is_an_error_for_the_model(
    block: dict[str, str], message: str, access: ImageAccess
) -> None:
    with pytest.raises(ToolException, match=message):
        access.open(None, current(block))


def test_a_current_image_of_another_type_is_a_type_error(access: ImageAccess) -> None:
    with pytest.raises(TypeError, match="current_image is a int"):
        access.open(None, current(7))
