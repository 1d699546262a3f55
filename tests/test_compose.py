"""`compose.yaml` and the `Dockerfile`, which no test can run: their form, and whatever they name here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.core import TyperGroup

from assistant.ui.cli import app

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = YAML(typ="safe").load(ROOT / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_it_has_the_form_of_a_compose_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    found = subprocess.run([*check, ROOT / "compose.yaml"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", OURS)
def test_its_commands_take_their_options(name: str) -> None:
    words = shlex.split(SERVICES[name]["command"])
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    with group.commands[words[0]].make_context(words[0], words[1:]) as context:
        assert context.params["model"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_our_services_are_asked_where_they_answer() -> None:
    asked = {name: SERVICES[name]["healthcheck"]["test"][-1] for name in OURS}
    assert {name: re.findall(r"'http://127.0.0.1:(.*)'", code) for name, code in asked.items()} == {
        "page": ["8501/healthz"],
        "model": ["8000/health"],
    }
    for code in asked.values():
        compile(code, "healthcheck", "exec")


def test_secrets_come_from_the_environment() -> None:
    secret = {
        name: value
        for service in SERVICES.values()
        for name, value in service["environment"].items()
        if "PASSWORD" in name or "KEY" in name
    }
    assert len(secret) == 4
    assert all(re.fullmatch(r"\$\{\w+:\?.+\}", value) for value in secret.values())
    assert "@" in SERVICES["page"]["environment"]["ASSISTANT_DB"]
    assert not re.search(r"//\w+:", SERVICES["page"]["environment"]["ASSISTANT_DB"])


def test_volumes_are_declared_and_ours_lie_where_our_user_may_write() -> None:
    mounts = {name: dict(it.split(":") for it in service["volumes"]) for name, service in SERVICES.items()}
    assert {volume for of_one in mounts.values() for volume in of_one} == set(COMPOSE["volumes"])
    for name in OURS:
        for place in mounts[name].values():
            assert re.search(rf"chown assistant [^\n]*{place}\b", DOCKERFILE)


def test_the_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    default = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    named = [*default, *(SERVICES[name]["build"]["args"]["EXTRAS"] for name in OURS)]
    assert len(named) == 3
    assert {extra for extras in named for extra in extras.split(",")} <= set(project["optional-dependencies"])
