"""Several named adapters over one base model in memory, one active at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel

from ..architecture.adapter import load_adapter
from ..architecture.modeling import MiniGPTv2ForConditionalGeneration
from ..errors import AssistantError

OWN = ""
"""The name of the model's own adapter, or of its base if it has none."""


class Adapters:
    """Switches a model between its adapters; without named ones there is nothing to switch.

    Their LoRA is not merged into the base's weights, but computed separately.
    """

    def __init__(self, model: PeftModel | None = None, names: Mapping[str, str | None] | None = None) -> None:
        """Take a model with adapters, and PEFT's name for each of ours: None for the base alone."""
        self._model = model
        self._names = names or {OWN: None}
        self._lock = threading.Lock()
        self._at_work: str | None = None

    @classmethod
    def over(
        cls, base: MiniGPTv2ForConditionalGeneration, own: Path | None, named: Mapping[str, Path]
    ) -> Adapters:
        """Load adapters' folders over a base model, which is changed in place.

        Raises:
            WeightsError: a folder has no adapter, or one that does not fit.
        """
        folders = ({} if own is None else {OWN: own}) | dict(named)
        # PEFT takes a name apart at dots, and mistakes one that contains another for it.
        names: dict[str, str | None] = {name: f"adapter{index:03}" for index, name in enumerate(folders)}
        model: MiniGPTv2ForConditionalGeneration | PeftModel = base
        for name, adapter in folders.items():
            model = load_adapter(model, adapter, name=names[name] or "")
        return cls(model.eval(), {OWN: None} | names)

    def require(self, name: str) -> None:
        """Check that there is an adapter of a name.

        Raises:
            AssistantError: there is none.
        """
        if name not in self._names:
            known = (
                ", ".join(sorted(self._names.keys() - {OWN})) or "none: load one with --adapter NAME=FOLDER"
            )
            raise AssistantError(f"there is no adapter {name!r}; there is {known}")

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Activate an adapter; requests for others wait meanwhile."""
        if self._model is None:
            yield
            return
        with self._lock:
            if name != self._at_work:
                self._switch(self._model, self._names[name])
                self._at_work = name
            yield

    @staticmethod
    def _switch(model: PeftModel, name: str | None) -> None:
        if name is None:
            model.base_model.disable_adapter_layers()
            return
        model.base_model.enable_adapter_layers()
        model.set_adapter(name, inference_mode=True)
