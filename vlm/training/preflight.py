"""Check a run before weights are fetched and images are read."""

from __future__ import annotations

from pathlib import Path

from ..data.mixture import InstructionMixture, open_mixture
from ..errors import AssistantError, WeightsError
from ..folders.reading import read_adapter
from ..models.presets import PRESETS
from ..prompt_form import OURS, PromptForm
from .checkpoints import refuse_other_settings
from .config import FRESH, TrainingConfig
from .processes import processes
from .self_critical import has_reward

# Examples to search for one that can be rewarded.
_PROBED = 1000


def open_data(config: TrainingConfig, form: PromptForm = OURS) -> InstructionMixture:
    """Check the settings of a run and open its training data, worded in a prompt form.

    Raises:
        DataError: the data is invalid.
        WeightsError: the initial adapter does not exist.
        AssistantError: settings conflict with each other or with the checkpoints in `config.out`.
    """
    _check_processes(config)
    refuse_other_settings(config)
    initial_adapter(config)
    if config.self_critical == 1:
        raise AssistantError(
            "each answer is compared with the others to its question: set self_critical to 2 or more"
        )
    length = config.steps * config.batch
    data = open_mixture(
        *(config.data, config.split, config.mixture, length, config.seed),
        form=form,
        skip_broken=config.skip_broken,
    )
    if config.feature_cache and data.crops:
        raise AssistantError(
            "the features of random crops are never reused: "
            "set crop under [mixture] to 0, or leave the feature cache out"
        )
    if config.feature_cache and _adapts_tower(config):
        raise AssistantError("features of a tower that is trained change: leave the feature cache out")
    if config.self_critical and not _is_rewarded(data):
        raise AssistantError(
            "no image has human captions or a referring expression with its box to reward answers by: "
            "set self_critical to 0"
        )
    return data


def initial_adapter(config: TrainingConfig) -> Path | None:
    """Return the folder of the adapter to start from, None for a new one.

    Raises:
        WeightsError: it does not exist.
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


def _adapts_tower(config: TrainingConfig) -> bool:
    if config.adapter:
        return config.adapter.tower
    start = initial_adapter(config)
    return start is not None and read_adapter(start).tower


def _is_rewarded(data: InstructionMixture) -> bool:
    drawn = map(data.draw, range(min(_PROBED, len(data))))
    return any(draw.picture is not None and has_reward(draw.samples, draw.references) for draw in drawn)


def _check_processes(config: TrainingConfig) -> None:
    shares = processes() * config.gradient_accumulation
    if config.batch % shares:
        raise AssistantError(
            f"a batch of {config.batch} images cannot be divided among {processes()} processes with "
            f"{config.gradient_accumulation} accumulation steps each: make --batch a multiple of {shares}"
        )
    if config.fsdp and processes() == 1:
        raise AssistantError("fsdp shards weights over several processes: start the command with torchrun")
    if config.fsdp and config.whiten:
        raise AssistantError("with fsdp the linear layer keeps its plain basis: set whiten to false")
    if config.fsdp and config.feature_cache:
        raise AssistantError("with fsdp every process must run the tower: leave the feature cache out")
    if config.fsdp and config.self_critical:
        raise AssistantError("with fsdp no process has all weights to sample answers: set self_critical to 0")
    if config.fsdp and config.sample_every:
        raise AssistantError("with fsdp no process has all weights to draw sheets: set sample_every to 0")
