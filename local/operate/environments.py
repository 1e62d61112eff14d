"""Environments of samconfig.toml, with the parameters that a deploy would use."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from local.operate.templates import ROOT, TEMPLATE, read_template
from screener.errors import ConfigurationError
from screener.model import Message
from screener.observations import Analyzer


class Environment(Message):
    """One environment."""

    name: str
    region: str
    stack_name: str
    parameters: dict[str, str]
    """Every template parameter: defaults, samconfig.toml, what was published; later ones win."""

    def instance_types(self, analyzer: Analyzer) -> list[str]:
        """The type of an endpoint and, where one is set, the one to fall back on."""
        name = analyzer.capitalize()
        fallback = self.parameters[f"{name}FallbackInstanceType"]
        return [self.parameters[f"{name}InstanceType"], *([fallback] if fallback else [])]

    def max_instances(self, analyzer: Analyzer) -> int:
        return int(self.parameters[f"{analyzer.capitalize()}MaxInstances"])

    def image_uri(self, analyzer: Analyzer) -> str:
        return self.parameters[f"{analyzer.capitalize()}ImageUri"]

    def packs(self, analyzer: Analyzer) -> str:
        return self.parameters[f"{analyzer.capitalize()}Packs"]

    @property
    def deployed(self) -> list[Analyzer]:
        """Analyzers with an image and packs: the ones that get an endpoint."""
        return [one for one in Analyzer if self.image_uri(one) and self.packs(one)]


class Published(Message):
    """What `screener deploy` published for an environment; build/deploy/ENV.json."""

    parameters: dict[str, str] = {}


def published_file(name: str, root: Path = ROOT) -> Path:
    return root / "build" / "deploy" / f"{name}.json"


def read_published(name: str, root: Path = ROOT) -> Published:
    """Empty when nothing was published yet.

    Raises:
        ConfigurationError: the file is not what this program wrote.
    """
    path = published_file(name, root)
    try:
        return Published.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Published()
    except ValidationError as cause:
        raise ConfigurationError(f"{path}: {cause}") from cause


def read_environment(name: str, root: Path = ROOT) -> Environment:
    """An environment of `root`/samconfig.toml.

    Raises:
        ConfigurationError: no such environment, or a parameter that the template does not have.
    """
    config = tomllib.loads((root / "samconfig.toml").read_text("utf-8"))
    names = sorted(key for key, value in config.items() if _is_environment(value))
    if name not in names:
        raise ConfigurationError(
            f"samconfig.toml has no environment {name!r}; it has {', '.join(names)}"
        )
    general = config[name]["global"]["parameters"]
    overrides = config[name]["deploy"]["parameters"].get("parameter_overrides", [])
    declared = read_template(TEMPLATE)["Parameters"]
    parameters = {key: str(one.get("Default", "")) for key, one in declared.items()}
    given = dict(_split(one) for one in overrides) | read_published(name, root).parameters
    unknown = given.keys() - parameters.keys()
    if unknown:
        raise ConfigurationError(
            f"environment {name}: template.yaml has no parameter {', '.join(sorted(unknown))}"
        )
    return Environment(
        name=name,
        region=general["region"],
        stack_name=general["stack_name"],
        parameters=parameters | given,
    )


def _is_environment(value: Any) -> bool:
    # Besides environments there are `version` and `default`, which names no stack.
    return isinstance(value, Mapping) and "stack_name" in value.get("global", {}).get(
        "parameters", {}
    )


def _split(override: str) -> tuple[str, str]:
    name, equals, value = override.partition("=")
    if not equals:
        raise ConfigurationError(f"samconfig.toml: {override!r} is not NAME=VALUE")
    return name, value
