"""What is wrong with a run is told before weights are fetched and pictures are read."""

from __future__ import annotations

from pathlib import Path

from ..data.mixture import InstructionMixture, open_mixture
from ..errors import AssistantError, WeightsError
from ..presets import PRESETS
from .checkpoints import refuse_other_settings
from .config import FRESH, TrainingConfig
from .processes import processes
from .self_critical import has_reward

# Examples among which there is one to be rewarded, if there are any worth the name.
_PROBED = 1000


def open_data(config: TrainingConfig) -> InstructionMixture:
    """Return the run's stream of examples, once the run as such is possible.

    Raises:
        DataError: the data is not in the promised form.
        WeightsError: there is no adapter to start from.
        AssistantError: settings do not go together, or not with the checkpoints in `config.out`.
    """
    _check_processes(config)
    refuse_other_settings(config)
    initial_adapter(config)
    if config.self_critical == 1:
        raise AssistantError(
            "an answer is weighed by the others to its question: make self_critical 2 or more"
        )
    length = config.steps * config.batch
    data = open_mixture(
        config.data, config.split, config.mixture, length, config.seed, skip_broken=config.skip_broken
    )
    if config.feature_cache and data.crops:
        raise AssistantError(
            "features of parts that are cut out by chance would be kept for nothing: "
            "set crop under [mixture] to 0, or leave the feature cache out"
        )
    if config.self_critical and not _is_rewarded(data):
        raise AssistantError(
            "no picture has captions by people, or a referring expression with its box, to weigh the model's "
            "own answers by: set self_critical to 0"
        )
    return data


def initial_adapter(config: TrainingConfig) -> Path | None:
    """Return the folder of the adapter to start from, None for a fresh one.

    Raises:
        WeightsError: there is no such adapter.
    """
    if config.init in (None, FRESH):
        return None
    name = str(config.init)
    folder = PRESETS[name].adapter if name in PRESETS else Path(name)
    if not (folder / "adapter_config.json").is_file():
        raise WeightsError(
            f"no adapter {name!r} to start from (--init): name {', '.join(PRESETS)} or the folder of one"
        )
    return folder


def _is_rewarded(data: InstructionMixture) -> bool:
    drawn = map(data.draw, range(min(_PROBED, len(data))))
    return any(draw.picture is not None and has_reward(draw.samples, draw.references) for draw in drawn)


def _check_processes(config: TrainingConfig) -> None:
    shares = processes() * config.gradient_accumulation
    if config.batch % shares:
        raise AssistantError(
            f"a batch of {config.batch} pictures does not divide among {processes()} processes with "
            f"{config.gradient_accumulation} parts each: make --batch a multiple of {shares}"
        )
    if config.fsdp and processes() == 1:
        raise AssistantError("fsdp shares weights out over several processes: start the command by torchrun")
    if config.fsdp and config.whiten:
        raise AssistantError("with fsdp the linear layer cannot learn in another basis: set whiten to false")
    if config.fsdp and config.feature_cache:
        raise AssistantError("with fsdp every process has to run the tower: leave the feature cache out")
    if config.fsdp and config.self_critical:
        raise AssistantError("with fsdp no process has the weights to write answers: set self_critical to 0")
    if config.fsdp and config.sample_every:
        raise AssistantError("with fsdp no process has the weights to draw sheets: set sample_every to 0")


__all__ = ["initial_adapter", "open_data"]
