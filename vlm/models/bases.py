"""Find the base model of an adapter and verify its weights."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError, one_line
from ..folders.base_note import BASE, Base, fingerprint, own_adapter
from ..folders.reading import read_adapter, read_settings
from .presets import PRESETS
from .weights import base_model, describe


def find_base(adapter: Path, given: Path | None = None) -> Path:
    """Return the folder of an adapter's base model.

    It is a preset's, the one `given`, the path in the adapter's note, or the adapter's parent folder. If the
    adapter has a fingerprint, the weights must match it.

    Raises:
        WeightsError: there is no such folder, or the one `given` has another model.
    """
    name = read_adapter(adapter).base_model_name_or_path
    if name in PRESETS and given is None:
        return base_model(PRESETS[name])
    noted = read_settings(adapter / BASE, Base) if (adapter / BASE).is_file() else None
    places = [given] if given else [Path(name), *([adapter.absolute().parent] if noted else [])]
    models = [folder for folder in places if _is_model(folder)]
    for folder in models:
        if noted is None or fingerprint(folder) == noted.fingerprint:
            return folder
    wanted = one_line(noted.name if noted else name)
    if models:
        raise WeightsError(
            f"{models[0]} is not the model {wanted!r} that {adapter} was trained for: its weights are "
            "others; name that one's folder (--base)"
        )
    if given is not None:
        raise WeightsError(f"{given} is no whole model's folder: name that of {wanted!r}")
    raise WeightsError(
        f"{adapter / 'adapter_config.json'}: base_model_name_or_path: the adapter is for {wanted!r}, which "
        f"is none of {', '.join(PRESETS)} and no model's folder here: name its folder (--base)"
    )


def require_base(adapter: Path, base: Path) -> None:
    """Check that an adapter was trained for the base model in a folder.

    Raises:
        WeightsError: it was not, or there is no adapter.
    """
    if not (adapter / "adapter_config.json").is_file():
        raise WeightsError(f"no adapter in {adapter}: name the folder of one, such as runs/mine/adapter")
    name = read_adapter(adapter).base_model_name_or_path
    if name not in PRESETS:
        find_base(adapter, base)
    elif describe(PRESETS[name]).folder != base:
        raise WeightsError(
            f"{adapter} is an adapter of {name}, not of {base}: name another, or --model {name}"
        )


def parts_of(model: str, base: Path | None = None) -> tuple[Path, Path | None]:
    """Return the folders of a model's base, fetched if it is missing, and of its adapter, None without one.

    `model` is a preset's name, or the folder of an adapter or of a whole model; `base` is as for `find_base`.

    Raises:
        WeightsError: there is no such model, or its base is missing.
    """
    folder = Path(model)
    if base is not None and not (folder / "adapter_config.json").is_file():
        raise WeightsError(f"{model} is not an adapter's folder: leave --base out")
    if model in PRESETS:
        adapter = PRESETS[model].adapter
        if not adapter.is_dir():
            raise WeightsError(f"{model} lacks its adapter: install assistant again, or name another model")
        return base_model(PRESETS[model]), adapter
    if (folder / "adapter_config.json").is_file():
        return find_base(folder, base), folder
    if (folder / "config.json").is_file():
        return folder, own_adapter(folder)
    raise WeightsError(
        f"no model {model!r}: name one of {', '.join(PRESETS)}, or a folder with an adapter or a model"
    )


def _is_model(folder: Path) -> bool:
    try:
        return (folder / "config.json").is_file()
    except (OSError, ValueError):  # not a valid path
        return False
