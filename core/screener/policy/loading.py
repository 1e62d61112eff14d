"""Reads policy files: YAML with precise errors, and the shipped presets."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from screener.errors import InvalidPolicy
from screener.policy.model import Policy

MAX_POLICY_BYTES = 4 * 1024 * 1024


class Preset(StrEnum):
    STRICT = "strict"
    BALANCED = "balanced"
    PERMISSIVE = "permissive"


DEFAULT_PRESET = Preset.BALANCED


@dataclass(frozen=True)
class _Place:
    line: int
    column: int


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and aliases (a small file of aliases can unfold
    into gigabytes)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, "aliases are not allowed", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_policy(data: bytes, name: str) -> Policy:
    """Read a policy.

    Args:
        data: the file, UTF-8 YAML.
        name: how errors call it, a path or an S3 URI.

    Raises:
        InvalidPolicy: one line per problem, each `name:line:column: where: what is expected`.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise InvalidPolicy(f"{name}: larger than {MAX_POLICY_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except UnicodeDecodeError as cause:
        raise InvalidPolicy(f"{name}: not UTF-8 text") from cause
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InvalidPolicy(f"{name}{place}: {cause.problem}") from cause
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        raise InvalidPolicy(f"{name}: not readable as YAML: {cause}") from cause
    if node is None or not isinstance(value, dict):
        raise InvalidPolicy(f"{name}:1:1: expected a mapping with schema_version, name, ...")
    try:
        return Policy.model_validate(value)
    except ValidationError as cause:
        raise InvalidPolicy("\n".join(_explain(cause, node, name))) from cause


def load_preset(preset: Preset) -> Policy:
    """One of the shipped policies."""
    return parse_policy(preset_bytes(preset), f"preset {preset.value}")


def preset_bytes(preset: Preset) -> bytes:
    """The file of a shipped policy."""
    folder = resources.files("screener").joinpath("policy", "presets")
    return folder.joinpath(f"{preset.value}.yaml").read_bytes()


def _explain(error: ValidationError, root: yaml.Node, name: str) -> list[str]:
    lines = []
    for problem in error.errors():
        place = _place(root, problem["loc"])
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        given = problem["input"]
        shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
        # Of errors that the model's own checks raise, pydantic's prefix says nothing.
        message = problem["msg"].removeprefix("Value error, ")
        lines.append((place.line, f"{name}:{place.line}:{place.column}: {where}: {message}{shown}"))
    return [line for _, line in sorted(lines, key=lambda item: item[0])]


def _place(node: yaml.Node, path: tuple[int | str, ...]) -> _Place:
    """The deepest node on the way to `path` that exists in the file."""
    mark = node.start_mark
    for part in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == str(part):
                    found, mark = value_node, key_node.start_mark
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            found = node.value[part]
            mark = found.start_mark
        if found is None:
            break
        node = found
    return _Place(mark.line + 1, mark.column + 1)
