"""Images: validation, files, and deletion."""

from __future__ import annotations

import errno
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from assistant.storage import DatabaseBusyError, DiskFullError, NewTurn, SessionStore, StoredImage, store
from assistant.storage import images as images_module
from assistant.vlm.errors import ImageError
from assistant.vlm.pictures import open_picture, opening

MakePicture = Callable[..., bytes]
MakeTurn = Callable[..., NewTurn]


def files(store: SessionStore, image: StoredImage) -> list[str]:
    return sorted(
        path.name for path in store.image_path(image.sha256).parent.iterdir() if path.name != ".lock"
    )


class TestAdding:
    @pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
    def test_an_image_is_identified_by_its_content(
        self, sqlite_store: SessionStore, make_picture: MakePicture, kind: str
    ) -> None:
        data = make_picture(kind=kind)
        image = sqlite_store.add_image(data)
        assert (image.format, image.width, image.height, image.size) == (kind, 64, 48, len(data))
        assert sqlite_store.image_path(image.sha256).read_bytes() == data

    def test_a_file_equals_its_bytes_under_any_name(
        self, sqlite_store: SessionStore, make_picture: MakePicture, tmp_path: Path
    ) -> None:
        path = tmp_path / "photo.txt"
        path.write_bytes(make_picture())
        assert sqlite_store.add_image(path) == sqlite_store.add_image(make_picture())

    def test_a_picture_added_twice_is_kept_once(self, store: SessionStore, make_picture: MakePicture) -> None:
        first, second = store.add_image(make_picture()), store.add_image(make_picture())
        assert first == second
        assert files(store, first) == [f"{first.sha256}.png"]

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    @pytest.mark.parametrize("kind", ["AVIF", "JPEG", "PNG", "TIFF", "WEBP"])
    def test_the_size_is_that_of_the_picture_as_a_person_sees_it(
        self, sqlite_store: SessionStore, make_picture: MakePicture, kind: str, orientation: int
    ) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        data = make_picture(kind=kind, exif=exif)
        image, seen = sqlite_store.add_image(data), open_picture(data)
        assert (image.width, image.height) == ((48, 64) if orientation == 6 else (64, 48))
        assert (image.width, image.height) == (seen.width, seen.height)
        assert (image.sha256, image.format) == (seen.sha256, seen.format)

    def test_a_phones_picture_with_a_second_one_behind_is_taken(
        self, sqlite_store: SessionStore, make_picture: MakePicture
    ) -> None:
        second = Image.new("RGB", (64, 48))
        image = sqlite_store.add_image(make_picture(kind="MPO", save_all=True, append_images=[second]))
        assert sqlite_store.image_path(image.sha256).suffix == ".jpg"

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"<svg onload='alert(1)'/>", id="svg"),
            pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", id="postscript"),
            pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 64, id="broken png"),
        ],
    )
    def test_a_file_that_is_no_image_is_an_error_and_leaves_nothing(
        self, sqlite_store: SessionStore, data: bytes, database: Path
    ) -> None:
        with pytest.raises(ImageError, match=r"the image: .*(empty|damaged|SVG|EPS)"):
            sqlite_store.add_image(data)
        assert {path.name for path in database.parent.glob("*.images/*")} == {".lock"}

    def test_every_image_that_opens_can_be_stored(
        self, sqlite_store: SessionStore, make_picture: MakePicture
    ) -> None:
        without_end = make_picture()[:-14]  # as a copy that broke off with the last pixel
        seen = open_picture(without_end)
        image = sqlite_store.add_image(without_end)
        assert (image.sha256, image.width, image.height) == (seen.sha256, seen.width, seen.height)

    def test_a_png_that_says_its_orientation_behind_the_pixels_is_measured_upright(
        self, sqlite_store: SessionStore, make_picture: MakePicture
    ) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        data = exif.tobytes().removeprefix(b"Exif\0\0")
        late = png_chunk(b"eXIf", data)
        plain = make_picture()
        end = plain.rindex(b"IEND") - 4
        content = plain[:end] + late + plain[end:]
        image, seen = sqlite_store.add_image(content), open_picture(content)
        assert (image.width, image.height) == (seen.width, seen.height) == (48, 64)

    def test_too_large_a_picture_is_refused_without_being_decoded(
        self, sqlite_store: SessionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
        with pytest.raises(ImageError, match="more than 178 million pixels"):
            sqlite_store.add_image(png_header(60_000, 60_000))

    def test_a_picture_that_cannot_be_opened_is_not_kept(
        self, sqlite_store: SessionStore, make_picture: MakePicture
    ) -> None:
        data = make_picture(kind="JPEG")
        with pytest.raises(ImageError, match="damaged"):
            sqlite_store.add_image(data[: len(data) // 2])

    def test_a_picture_that_was_opened_is_not_decoded_again(
        self, sqlite_store: SessionStore, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = make_picture()
        seen = open_picture(data)
        monkeypatch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("opened again"))
        image = sqlite_store.add_image(seen)
        assert (image.sha256, image.size) == (seen.sha256, len(data))
        assert sqlite_store.image_path(image.sha256).read_bytes() == data

    def test_a_picture_made_in_memory_is_to_be_saved_first(self, sqlite_store: SessionStore) -> None:
        with pytest.raises(ImageError, match="save it to a file"):
            sqlite_store.add_image(open_picture(Image.new("RGB", (8, 8))))

    def test_too_large_a_file_and_a_missing_one_are_refused(
        self, sqlite_store: SessionStore, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ImageError, match=r"nowhere\.png: there is no such file"):
            sqlite_store.add_image(Path("nowhere.png"))
        monkeypatch.setattr(opening, "FILE_LIMIT", 10)
        with pytest.raises(ImageError, match="MB"):
            sqlite_store.add_image(make_picture())

    def test_a_failed_write_leaves_neither_file_nor_row(
        self,
        store: SessionStore,
        make_picture: MakePicture,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", fail)
            with pytest.raises(DiskFullError, match="disk is full"):
                store.add_image(make_picture())
        assert [path.name for path in (tmp_path / "pictures").iterdir()] == [".lock"]
        assert store.verify() == []
        assert store.sweep() == 0
        store.add_image(make_picture())

    def test_many_threads_may_add_and_delete_the_same_picture(
        self, store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn
    ) -> None:
        errors: list[BaseException] = []

        def chat() -> None:
            try:
                for _ in range(4):
                    session_id = store.create_session().id
                    while not store.turns(session_id):
                        with suppress(ImageError):  # another's session, the picture's last, was just deleted
                            store.append_turn(session_id, make_turn(image=store.add_image(make_picture())))
                    assert store.image_path(store.turns(session_id)[0].image.sha256).is_file()
                    store.delete_session(session_id)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=chat) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        store.sweep()
        assert store.verify() == []

    def test_a_lock_of_another_program_is_reported(
        self, sqlite_store: SessionStore, make_picture: MakePicture, database: Path
    ) -> None:
        folder = images_module.ImageFolder(Path(f"{database}.images"), timeout=1)
        with folder.lock(), pytest.raises(DatabaseBusyError, match="locked by another program"):
            sqlite_store.add_image(make_picture())
        sqlite_store.add_image(make_picture())


class TestDeleting:
    def test_deleting_the_last_session_that_uses_a_picture_deletes_its_file(
        self, store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn
    ) -> None:
        shared, own = store.add_image(make_picture("red")), store.add_image(make_picture("blue"))
        first, second = store.create_session().id, store.create_session().id
        store.append_turn(first, make_turn(image=shared))
        store.append_turn(first, make_turn(image=own))
        store.append_turn(second, make_turn(image=shared))
        store.delete_session(first)
        assert files(store, shared) == [f"{shared.sha256}.png"]
        with pytest.raises(ImageError, match="add it again"):
            store.image_path(own.sha256)
        folder = store.image_path(shared.sha256).parent
        store.delete_session(second)
        assert [path.name for path in folder.iterdir()] == [".lock"]

    def test_an_image_waiting_for_its_turn_outlives_other_sessions(
        self, store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn
    ) -> None:
        old = store.create_session().id
        store.append_turn(old, make_turn(image=store.add_image(make_picture())))
        waiting = store.add_image(make_picture())
        store.delete_session(old)
        new = store.create_session().id
        assert store.append_turn(new, make_turn(image=waiting)).image == waiting
        assert store.image_path(waiting.sha256).is_file()

    def test_an_image_without_a_turn_is_deleted_in_time(
        self, sqlite_store: SessionStore, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sqlite_store.add_image(make_picture())
        assert sqlite_store.sweep() == 0
        monkeypatch.setattr(store, "PATIENCE", timedelta(0))
        assert sqlite_store.sweep() == 1

    def test_a_turn_with_a_picture_that_is_gone_is_refused_whole(
        self, store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn
    ) -> None:
        image = store.add_image(make_picture())
        session_id = store.create_session().id
        store.append_turn(session_id, make_turn(image=image))
        store.delete_session(session_id)
        session_id = store.create_session().id
        with pytest.raises(ImageError, match="add it again"):
            store.append_turn(session_id, make_turn(image=image))
        assert store.turns(session_id) == []

    def test_only_files_of_the_store_are_ever_deleted(
        self, sqlite_store: SessionStore, make_picture: MakePicture
    ) -> None:
        folder = sqlite_store.image_path(sqlite_store.add_image(make_picture()).sha256).parent
        strangers = [folder / "holiday.png", folder / "notes.txt"]
        leftovers = [folder / ("0" * 64 + ".png"), folder / ".abc.part"]
        for path in strangers + leftovers:
            path.write_bytes(b"x")
        assert len(sqlite_store.verify()) == 2
        assert sqlite_store.sweep() == 2
        assert all(path.exists() for path in strangers)
        assert sqlite_store.verify() == []


class TestVerify:
    def test_a_missing_and_a_changed_file_are_found_and_mended_by_adding_again(
        self, store: SessionStore, make_picture: MakePicture, make_turn: MakeTurn
    ) -> None:
        session_id = store.create_session().id
        images = [store.add_image(make_picture(colour)) for colour in ("red", "blue", "green")]
        for image in images:
            store.append_turn(session_id, make_turn(image=image))
        assert store.verify() == []
        paths = [store.image_path(image.sha256) for image in images]
        paths[0].unlink()
        paths[1].write_bytes(make_picture("pink"))
        problems = sorted(map(str, store.verify()))
        assert len(problems) == 2
        assert {images[0].sha256, images[1].sha256} == {problem.split()[1].strip(":") for problem in problems}
        assert any("No such file" in problem for problem in problems)
        assert any("was changed" in problem for problem in problems)
        with pytest.raises(ImageError, match="image"):
            store.export_json(session_id)
        for colour in ("red", "blue"):
            store.add_image(make_picture(colour))
        assert store.verify() == []


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""

    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
