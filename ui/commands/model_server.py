"""`assistant serve`: the model for other programs and machines, served by vLLM."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.extras import require
from ...vlm.models.presets import DEFAULT_MODEL, PRESETS, require_model
from ..loading import quieten_libraries
from ..page.settings import logs_json
from .options import BaseOption
from .output import note, say

_SERVER = "vllm.entrypoints.launchers.api_server.entry"
_POLL_SECONDS = 0.5
_STOP_SECONDS = 30
_STDERR = 2
_EVERYBODY = ("0.0.0.0", "::")
# Health checks come every few seconds, and say nothing.
_LOG_JSON = ("--logging-config.formatter=json", "--disable-access-log-for-endpoints=/health,/metrics")


def serve(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- VLLM_OPTIONS]", help="Options of `vllm serve`, after `--`."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME|FOLDER",
            help="A model's name, or an adapter's or model's folder.",
            autocompletion=lambda: list(PRESETS),
        ),
    ] = DEFAULT_MODEL,
    base: BaseOption = None,
    host: Annotated[
        str, typer.Option(help="Who can reach it: 127.0.0.1 this computer only, 0.0.0.0 everybody.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The server's port.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="The name that clients see.  [default: the model's]")
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object a line. [env: ASSISTANT_LOG=json]")
    ] = False,
) -> None:
    """Serve the model with vLLM: the OpenAI API, for many users at once, on one GPU or many.

    Prints the address once the server answers. An adapter is merged into its base first, once.

    Examples:

      assistant serve --model runs/mine/adapter

      assistant serve --model minigpt-v2 --host 0.0.0.0 -- --tensor-parallel-size 2
    """
    require("vllm", "`assistant serve`")
    require_model(model)
    _require_free(host, port)
    quieten_libraries()
    from ...vlm.models.merging import whole_model

    folder = whole_model(model, base)
    served = name or (model if model in PRESETS else f"minigpt-v2-{_folder_name(model)}")
    command = [sys.executable, "-m", _SERVER, *arguments(folder, served, host, port)]
    command += [*(_LOG_JSON if log_json or logs_json() else ()), *(options or ())]
    note("Starting vLLM: this takes a minute or more (Ctrl-C stops it)")
    code = _run(command, host, port)
    if code:
        raise AssistantError(f"vLLM ended with exit code {code}: its last lines say why")


def arguments(folder: Path, name: str, host: str, port: int) -> list[str]:
    """Return vLLM's arguments; on a CPU it compiles nothing, which would take minutes at each start."""
    import torch

    eager = [] if torch.cuda.is_available() else ["--enforce-eager"]
    return [
        f"--model={folder}",
        f"--served-model-name={name}",
        f"--host={host}",
        f"--port={port}",
        *eager,
    ]


def _folder_name(model: str) -> str:
    """Return the name of a model's folder, or of its parent if it is called `adapter`."""
    folder = Path(model).resolve()
    return folder.parent.name if folder.name == "adapter" else folder.name


def _require_free(host: str, port: int) -> None:
    """Check that the address is free before anything slow happens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise AssistantError(
                f"cannot serve at {host}:{port} ({error.strerror}): try another --port or --host"
            ) from error


def _run(command: list[str], host: str, port: int) -> int:
    """Run the server until it ends or is stopped; return its exit code, 0 if it was stopped by SIGTERM."""
    environment = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", **os.environ}
    # In a session of its own: a Ctrl-C must not reach all of vLLM's processes at once.
    process = subprocess.Popen(command, env=environment, stdout=_STDERR, start_new_session=True)
    ended = signal.signal(signal.SIGTERM, _stop_by_signal)
    try:
        if _wait_until_it_answers(process, host, port):
            _announce(host, port)
        return process.wait()
    except _StoppedError:
        return 0
    finally:
        signal.signal(signal.SIGTERM, ended)
        _end(process)


class _StoppedError(Exception):
    """SIGTERM, for example from a service manager."""


def _stop_by_signal(*_: object) -> None:
    raise _StoppedError


def _wait_until_it_answers(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the server answers; return False if it ends first."""
    # Proxies are for other machines.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    while process.poll() is None:
        try:
            with opener.open(f"http://{_authority(local, port)}/health", timeout=5):
                return True
        except (OSError, urllib.error.URLError):
            time.sleep(_POLL_SECONDS)
    return False


def _announce(host: str, port: int) -> None:
    url = f"http://{_authority(socket.gethostname() if host in _EVERYBODY else host, port)}/v1"
    note(f'Ready: assistant ask photo.jpg "where is the dog?" --model {url}')
    say(url)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers."""
    if process.poll() is None:
        process.terminate()
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # remaining workers
    process.wait()
