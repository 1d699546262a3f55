"""Images sent as data, in every format of the chat model providers."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from PIL import Image

from assistant.tools import ImageAccess

NOTHING = RunnableConfig()


def png(width: int = 16) -> bytes:
    data = BytesIO()
    Image.effect_noise((width, 6), 40).save(data, "PNG")
    return data.getvalue()


PNG = png()
CODE = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{CODE}"

BLOCKS: dict[str, dict[str, Any]] = {
    "langchain": {"type": "image", "base64": CODE, "mime_type": "image/png"},
    "langchain-url": {"type": "image", "url": URL},
    "langchain-0.3": {"type": "image", "source_type": "base64", "data": CODE, "mime_type": "image/png"},
    "langchain-file": {"type": "file", "base64": CODE, "mime_type": "image/png"},
    "openai": {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
    "openai-bare": {"type": "image_url", "image_url": URL},
    "openai-responses": {"type": "input_image", "image_url": URL, "detail": "auto"},
    "openai-file": {"type": "file", "file": {"filename": "a.png", "file_data": URL}},
    "anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": CODE},
    },
    "google-media": {"type": "media", "mime_type": "image/png", "data": PNG},
    "google-inline": {"inline_data": {"mime_type": "image/png", "data": CODE}},
    "bedrock": {"image": {"format": "png", "source": {"bytes": PNG}}},
    "hugging-face": {"type": "image", "image": Image.open(BytesIO(PNG))},
}
CODES: dict[str, str] = {
    "plain": CODE,
    "lines": base64.encodebytes(PNG).decode(),
    "url-safe": base64.urlsafe_b64encode(PNG).decode(),
    "unpadded": CODE.rstrip("="),
}
URLS: dict[str, str] = {
    "usual": URL,
    "capitals": URL.replace("data:image/png;base64", "DATA:IMAGE/PNG;BASE64"),
    "parameter": URL.replace(";base64", ";name=a.png;base64"),
    "no-type": f"data:;base64,{CODE}",
    "quoted-base64": URL.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D").replace(
        "data:image%2Fpng", "data:image/png"
    ).replace("base64%3D", "base64"),
    "quoted-bytes": "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
}  # fmt: skip


def current(image: Any) -> RunnableConfig:
    return RunnableConfig(configurable={"current_image": image})


def asked(*parts: Any) -> HumanMessage:
    return HumanMessage([{"type": "text", "text": "What is this?"}, *parts])


@pytest.mark.parametrize("form", BLOCKS)
def test_a_block_is_a_picture_in_the_message_and_as_the_current_one(form: str) -> None:
    block = BLOCKS[form]
    opened = ImageAccess([]).open(None, NOTHING, [asked(block), AIMessage("I look.")])
    assert (opened.picture.width, opened.reference) == (16, "attached-1")
    opened = ImageAccess([]).open(None, current(block))
    assert (opened.picture.width, opened.reference) == (16, None)


@pytest.mark.parametrize("form", CODES)
def test_base64_is_read_however_it_is_written(form: str) -> None:
    access = ImageAccess([])
    assert access.open(None, current({"type": "image", "base64": CODES[form]})).picture.width == 16
    assert access.open(CODES[form], NOTHING).picture.width == 16


@pytest.mark.parametrize("form", URLS)
def test_a_data_url_is_read_wherever_a_picture_is_named(form: str) -> None:
    access = ImageAccess([])
    for opened in (
        access.open(URLS[form], NOTHING),
        access.open(None, current(URLS[form])),
        access.open(None, NOTHING, [asked({"type": "image_url", "image_url": {"url": URLS[form]}})]),
    ):
        assert opened.picture.width == 16


@pytest.mark.parametrize(
    ("url", "problem"),
    [("data:image/png;base64,???", "base64 data is damaged"), ("data:image/png,x", "this is not an image")],
)
def test_damaged_data_is_an_error(url: str, problem: str) -> None:
    with pytest.raises(ToolException, match=problem):
        ImageAccess([]).open(url, NOTHING)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "image/png"},
        {"type": "file", "mime_type": "application/pdf", "base64": CODE},
        {"type": "input_audio", "input_audio": {"data": CODE, "format": "wav"}},
    ],
)
def test_other_blocks_are_no_pictures(block: dict[str, Any]) -> None:
    with pytest.raises(ToolException, match="no current image"):
        ImageAccess([]).open(None, NOTHING, [asked(block), HumanMessage("text alone")])


def test_a_link_in_a_message_is_not_followed() -> None:
    link = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with pytest.raises(ToolException, match="links are not followed: attach the image itself"):
        ImageAccess([]).open(None, NOTHING, [asked(link)])


def test_the_latest_message_with_a_picture_counts() -> None:
    messages = [
        asked(picture_block(8)),
        AIMessage("A."),
        asked(picture_block(9)),
        AIMessage("B."),
        HumanMessage("And its colour?"),
        ToolMessage([picture_block(10)], tool_call_id="1"),
    ]
    access = ImageAccess([])
    assert access.open(None, NOTHING, messages).picture.width == 9
    assert access.open("attached-1", NOTHING, messages).picture.width == 8
    assert access.open(None, current(png(7)), messages).picture.width == 7


def test_of_several_pictures_in_a_message_one_is_to_be_named() -> None:
    messages = [asked(picture_block(8)), asked(picture_block(9), picture_block(10))]
    access = ImageAccess([])
    with pytest.raises(ToolException, match="give `image`, one of attached-2, attached-3"):
        access.open(None, NOTHING, messages)
    assert access.open("attached-3", NOTHING, messages).picture.width == 10


@pytest.mark.parametrize("name", ["current_image", "null", "image.jpg", "attached-2"])
def test_a_name_that_a_model_made_up_gets_the_remedy(name: str) -> None:
    for config, messages in ((current(PNG), []), (NOTHING, [asked(BLOCKS["openai"])])):
        with pytest.raises(ToolException, match=r"leave `image` out to use the current image.*list_pictures"):
            ImageAccess([]).open(name, config, messages)
    with pytest.raises(ToolException, match="no such image") as error:
        ImageAccess([]).open(name, NOTHING)
    assert "leave" not in str(error.value)


def test_every_picture_that_can_be_named_is_listed_and_can_be_opened(tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.PNG", ".hidden/c.png", "notes.txt", "new\nline.png", "no\udcfftext.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG)

    class Album:
        def find(self, reference: str) -> bytes | None:
            return PNG if reference == "img-1" else None

        def references(self) -> list[str]:
            return ["img-1"]

    access, messages = ImageAccess([tmp_path], [Album()]), [asked(BLOCKS["openai"])]
    names = list(access.names(NOTHING, messages))
    assert names == ["attached-1", "img-1", "b.png", "sub/a.PNG"]
    assert all(access.open(name, NOTHING, messages).picture.width == 16 for name in names)


def picture_block(width: int) -> dict[str, Any]:
    return {"type": "image", "base64": base64.b64encode(png(width)).decode(), "mime_type": "image/png"}
