"""Image files next to the database, each named by the hash of its content."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..vlm.errors import ImageError
from ..vlm.pictures import FORMATS, Picture, open_picture
from .errors import DatabaseBusyError, DatabaseNotWritableError, DiskFullError
from .records import StoredImage

# File extensions by Pillow's format name. MPO is the JPEG of many phones, which holds a second image after
# the first.
EXTENSIONS = {name: name.lower() for name in FORMATS} | {"JPEG": "jpg", "MPO": "jpg", "HEIF": "heic"}

_OURS = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(set(EXTENSIONS.values()))})|\.\w+\.part")


def read(source: bytes | Path | Picture) -> tuple[bytes, StoredImage]:
    """Return an image's bytes and its description, based on its content.

    Files are opened to validate them; an open `Picture` is used as is.

    Raises:
        ImageError: the file cannot be read, is not a supported image, or the image has no file.
    """
    picture = open_picture(source)
    data = picture.content
    if not data:
        raise ImageError("the image is only in memory; save it to a file first")
    return data, StoredImage(picture.sha256, picture.format, picture.width, picture.height, len(data))


class ImageFolder:
    """The folder of the image files; the database records which are in use."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self._timeout = timeout

    def file(self, image: StoredImage) -> Path:
        """Return the path of an image's file, which may not exist."""
        return self.path / f"{image.sha256}.{EXTENSIONS[image.format]}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock out other threads and programs that add or remove files.

        Raises:
            DatabaseBusyError: another program holds the lock for longer than `timeout` seconds.
            DatabaseNotWritableError: the folder is not writable.
        """
        with self._translated_errors():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.path / ".lock", timeout=self._timeout)
            try:
                lock.acquire()
            except Timeout as error:
                raise DatabaseBusyError(f"{self.path} is locked by another program; try again") from error
        try:
            yield
        finally:
            lock.release()

    def write(self, image: StoredImage, data: bytes) -> None:
        """Write an image file atomically, even if the power fails.

        Replaces an existing file, which repairs a changed one.

        Raises:
            DiskFullError: the disk is full.
            DatabaseNotWritableError: the folder is not writable.
        """
        with self._translated_errors():
            descriptor, name = tempfile.mkstemp(dir=self.path, prefix=".", suffix=".part")
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.file(image))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._flush()

    def stray(self, images: Iterable[StoredImage]) -> list[Path]:
        """Return files that belong to none of `images`: deleted images and interrupted writes."""
        wanted = {self.file(image) for image in images}
        with self._translated_errors():
            present = sorted(self.path.iterdir()) if self.path.is_dir() else []
        return [path for path in present if _OURS.fullmatch(path.name) and path not in wanted]

    def clear(self, images: Iterable[StoredImage]) -> int:
        """Delete files that belong to none of `images`; return their number."""
        stray = self.stray(images)
        with self._translated_errors():
            for path in stray:
                path.unlink(missing_ok=True)
        return len(stray)

    def load(self, image: StoredImage) -> bytes:
        """Return the bytes of an image.

        Raises:
            ImageError: its file is missing or was changed.
        """
        path = self.file(image)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}; add the image again") from error
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageError(f"{path} was changed; add the image again")
        return data

    def secret(self) -> str:
        """Return the folder's secret, created once.

        Raises:
            DatabaseNotWritableError: the secret can be neither read nor created.
        """
        path = self.path / ".secret"
        with self.lock(), self._translated_errors():
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(secrets.token_urlsafe(32), encoding="ascii")
            return path.read_text(encoding="ascii")

    def _flush(self) -> None:
        """Sync the folder's entries to the disk, so that a rename is not lost."""
        if os.name == "posix":
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Translate the system's errors into ours."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise DiskFullError(f"{self.path} cannot grow: the disk is full; make room") from error
            raise DatabaseNotWritableError(f"{self.path} cannot be written: {error.strerror}") from error
