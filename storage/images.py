"""Pictures as files beside the database, each named by the hash of its content."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..vlm.errors import ImageError
from ..vlm.pictures import FORMATS, Picture, open_picture
from .errors import DatabaseBusyError, DatabaseNotWritableError, DiskFullError
from .records import StoredImage

# Pillow's name of each format, and how its files end. MPO is the JPEG of many phones, with a second picture
# behind the first.
EXTENSIONS = {name: name.lower() for name in FORMATS} | {"JPEG": "jpg", "MPO": "jpg", "HEIF": "heic"}

_OURS = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(set(EXTENSIONS.values()))})|\.\w+\.part")


def read(source: bytes | Path | Picture) -> tuple[bytes, StoredImage]:
    """Return a picture's bytes and what they are, judged by content.

    A file is opened, since only that shows that it is good; a picture that was opened is taken as it is.

    Raises:
        ImageError: the file cannot be read, or is no picture that can be opened, or there is no file.
    """
    picture = open_picture(source)
    data = picture.content
    if not data:
        raise ImageError("a picture in memory is no file; save it as one first")
    return data, StoredImage(picture.sha256, picture.format, picture.width, picture.height, len(data))


class ImageFolder:
    """The folder of the pictures' files; the database tells which of them are wanted."""

    def __init__(self, path: Path, timeout: float) -> None:
        self.path = path
        self._timeout = timeout

    def file(self, image: StoredImage) -> Path:
        """Return where the picture's file is, or would be."""
        return self.path / f"{image.sha256}.{EXTENSIONS[image.format]}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other threads and programs from adding and removing files.

        Raises:
            DatabaseBusyError: another holds the lock for longer than `timeout` seconds.
            DatabaseNotWritableError: the folder may not be written.
        """
        with self._telling():
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
        """Write a picture's file so that it is there whole or not at all, even if the power fails.

        A file of that name is replaced, which mends one that was changed.

        Raises:
            DiskFullError: there is no room.
            DatabaseNotWritableError: the folder may not be written.
        """
        with self._telling():
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
        """Return our files of none of `images`: of deleted pictures, or left by an interrupted write."""
        wanted = {self.file(image) for image in images}
        with self._telling():
            present = sorted(self.path.iterdir()) if self.path.is_dir() else []
        return [path for path in present if _OURS.fullmatch(path.name) and path not in wanted]

    def clear(self, images: Iterable[StoredImage]) -> int:
        """Delete our files of none of `images` and return how many there were."""
        stray = self.stray(images)
        with self._telling():
            for path in stray:
                path.unlink(missing_ok=True)
        return len(stray)

    def load(self, image: StoredImage) -> bytes:
        """Return the bytes of a picture.

        Raises:
            ImageError: its file is gone or is not what was added.
        """
        path = self.file(image)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ImageError(f"{path} cannot be read: {error.strerror}; add the picture again") from error
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageError(f"{path} was changed; add the picture again")
        return data

    def _flush(self) -> None:
        """Have the folder's own entry on the disk, without which a rename may be lost."""
        if os.name == "posix":
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell the system's errors as ours."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise DiskFullError(f"{self.path} cannot grow: the disk is full; make room") from error
            raise DatabaseNotWritableError(f"{self.path} cannot be written: {error.strerror}") from error
