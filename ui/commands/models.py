"""`assistant models`: list, fetch, convert, export, average and merge models."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ...vlm.errors import AssistantError
from ...vlm.models.presets import PRESETS, require_model
from ..loading import quieten_libraries
from .model_folders import as_values, list_folders, show_folder
from .options import BaseOption, JsonOption
from .output import say, say_json

app = typer.Typer(help="List, fetch, show, convert, export, average and merge models.", no_args_is_help=True)


@app.command("list")
def list_models(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER...]", help="List the models and adapters in these folders instead."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models by name, and whether their weights are present; or those in folders.

    Examples:

      assistant models list

      assistant models list runs minigpt-v2 --json
    """
    if folders:
        list_folders(folders, as_json=as_json)
        return
    from ...vlm.models.weights import describe

    statuses = [describe(preset) for preset in PRESETS.values()]
    if as_json:
        say_json([as_values(status) for status in statuses])
        return
    for status in statuses:
        here = "ready" if status.present else f"not fetched: assistant models pull {status.name}"
        say(f"{status.name:8} {status.description} ({here})")


@app.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, such as nano.")]) -> None:
    """Fetch a model's weights, check them, and convert them once.

    Example:

      assistant models pull nano
    """
    from ...vlm.models.weights import base_model

    if name not in PRESETS:
        raise AssistantError(f"no model {name!r}: there is {', '.join(PRESETS)}")
    say(str(base_model(PRESETS[name])))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FOLDER", help="A model's name, or a model's or adapter's folder.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show what a model holds, where it comes from, and whether it fits this machine.

    Examples:

      assistant models show nano

      assistant models show runs/mine/adapter --json
    """
    from ...vlm.models.weights import describe

    if name not in PRESETS:
        require_model(name)
        show_folder(Path(name), as_json=as_json)
        return
    preset = PRESETS[name]
    status = describe(preset)
    if as_json:
        say_json(as_values(status))
        return
    say(f"{status.name}: {status.description}")
    say(f"weights: {status.folder} ({'present' if status.present else 'not fetched'})")
    for part in status.parts:
        say(f"part: {part.package} {part.version}, {part.licence}, sha256 {part.sha256}")
    card = preset.adapter / "README.md"
    if card.is_file():
        say("\n" + card.read_text(encoding="utf-8"))


@app.command()
def convert(
    llama: Annotated[Path, typer.Argument(metavar="LLAMA", help="The folder of LLaMA-2-7B-chat.")],
    eva_vit: Annotated[Path, typer.Argument(metavar="EVA_VIT", help="The file eva_vit_g.pth.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[CHECKPOINT] OUT",
            help="MiniGPT-v2's checkpoint, a .pth, or none to train from scratch; and the folder to create.",
        ),
    ],
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge LoRA into the weights; training cannot continue from it.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="The side of images in pixels.  [default: the checkpoint's]")
    ] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads of the tower.  [default: 88 wide each]")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Layers of the tower that are used.  [default: all, at most 39]")
    ] = None,
) -> None:
    """Make a model's folder from the released MiniGPT-v2 files, which you download yourself.

    Weights keep the precision of their files; LoRA stays separate, so that training can continue.

    Examples:

      assistant models convert Llama-2-7b-chat-hf eva_vit_g.pth minigptv2_checkpoint.pth minigpt-v2

      assistant models convert Llama-2-7b-chat-hf eva_vit_g.pth untrained
    """
    from ...vlm.released.conversion import convert_released

    if len(files) > 2:
        raise typer.BadParameter(f"{files[2]} is one too many: name CHECKPOINT, or none, and OUT")
    quieten_libraries()
    checkpoint = files[0] if len(files) == 2 else None
    with _cleared_up(), _bar() as tell:
        convert_released(
            *(llama, eva_vit, checkpoint, files[-1]),
            merge=merge,
            heads=heads,
            layers=layers,
            image_size=image_size,
            tell=tell,
        )
    say(str(files[-1]))


@contextmanager
def _cleared_up() -> Iterator[None]:
    """Make SIGTERM end the program as Ctrl-C does, so that unfinished files are removed."""
    earlier = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar in bytes on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns, console = (BarColumn(), DownloadColumn(), TimeRemainingColumn()), Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@app.command()
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="An adapter's folder, or one made by convert.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .pth to write.")],
) -> None:
    """Write an adapter as a checkpoint that the reference implementation loads.

    Example:

      assistant models export runs/mine/adapter checkpoint.pth
    """
    from ...vlm.released.exporting import export_checkpoint

    quieten_libraries()
    export_checkpoint(folder, out)
    say(str(out))


@app.command()
def average(
    adapters: Annotated[
        list[Path], typer.Argument(metavar="ADAPTER...", help="Adapters of one training, two or more.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make; `--model OUT` takes it.")],
) -> None:
    """Average the weights of adapters trained from one another; the result is often better than each.

    Example:

      assistant models average runs/one/adapter runs/two/adapter --out runs/mean
    """
    from ...vlm.training.averaging import average_adapters

    average_adapters(adapters, out)
    say(str(out))


@app.command()
def merge(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model's name, or a folder with an adapter."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make; `--model OUT` takes it.")],
    base: BaseOption = None,
) -> None:
    """Merge an adapter into its base model: one folder, as model servers want it.

    Example:

      assistant models merge runs/mine/adapter merged
    """
    from ...vlm.models.merging import merge_adapter

    quieten_libraries()
    with _cleared_up():
        merge_adapter(model, out, base)
    say(str(out))
