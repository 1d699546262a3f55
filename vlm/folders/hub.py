"""Fetch and push repositories of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from ..errors import WeightsError, one_line

# What a folder holds; a repository's other files could be of any size.
_FILES = ("*.json", "*.jinja", "*.safetensors", "*.md", "adapter/*")
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_REMEDY = "name a folder or OWNER/NAME of a repository that you may read"


def fetch_repository(name: str, revision: str | None = None, token: str | bool | None = None) -> Path:
    """Return the folder of a repository in the Hub's cache, after fetching what is missing.

    Raises:
        WeightsError: there is no such repository, or it cannot be reached.
    """
    if not _REPOSITORY.fullmatch(name):  # the Hub is not asked about a missing folder
        raise WeightsError(f"there is no folder {name!r}: {_REMEDY}")
    try:
        return Path(snapshot_download(name, revision=revision, token=token, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(f"no folder and no repository {name!r}: {one_line(error)}; {_REMEDY}") from error


def push_folder(folder: Path, name: str, *, private: bool, token: str | bool | None = None) -> str:
    """Upload a model's or adapter's folder to a repository, created if needed; return its address.

    Raises:
        WeightsError: the repository cannot be written, or reached.
    """
    api = HfApi(token=token)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            folder_path=folder,
            allow_patterns=list(_FILES),
            commit_message="Upload a model of visual-assistant",
        )
    except Exception as error:  # of many kinds: no network, no token, no such owner
        raise WeightsError(
            f"{folder} cannot be pushed to {name!r}: {one_line(error)}; log in with `hf auth login`, as "
            "someone who may write there"
        ) from error
    return f"{api.endpoint}/{name}"


def fetched(model: str | Path, options: Mapping[str, Any]) -> Path:
    """Return the folder that `from_pretrained` loads, which may name a repository.

    Raises:
        WeightsError: there is no such folder or repository.
    """
    if str(model) and Path(model).is_dir():
        return Path(model)
    return fetch_repository(str(model), options.get("revision"), options.get("token"))
