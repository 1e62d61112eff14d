"""template.yaml, resolved: parameters, conditions and intrinsic functions become plain values.

The local stack deploys what the template says, so functions, their environment, the rule's
pattern and the definition's substitutions are written down once. Whatever the reader does
not know is an error: a local stack that silently differs from AWS would be worse than none.

Libraries looked at first: aws-sam-translator expands SAM into CloudFormation but resolves
nothing that depends on a resource; moto's CloudFormation parser resolves, but leaves what it
does not know as it is and creates its resources on the way; cfn-lint's resolver works on
what may be, to check a template, not on one set of parameters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.stack.parameters import TemplateError, parameter_values

NO_VALUE = object()
"""What `AWS::NoValue` resolves to; the property that holds it is left out."""

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@dataclass(frozen=True)
class Resource:
    """One resource of the template, resolved."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Attributes:
    """What the rest of the template may ask a resource for."""

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


Naming = Callable[[str, str, Callable[[str], Any]], Attributes]
"""(logical id, type, resolved property by name) -> its attributes.

Properties are asked for by name, one at a time, because a resource's other properties may
refer to resources whose names depend on this one.
"""


class Template:
    """A template under one set of parameters.

    Args:
        source: the parsed document.
        parameters: values that replace the parameters' defaults.
        pseudo: `AWS::Region` and its like.
        naming: gives every resource its `Ref` and `GetAtt` values.

    Raises:
        TemplateError: a parameter has no value, a value that its constraints forbid, or is
            not one of the template's.
    """

    def __init__(
        self,
        source: Mapping[str, Any],
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        naming: Naming,
    ) -> None:
        self._source = source
        self._naming = naming
        self._pseudo = dict(pseudo)
        self.parameters = parameter_values(source.get("Parameters", {}), parameters)
        self._conditions: dict[str, bool] = {}
        self._attributes: dict[str, Attributes] = {}
        self._open: list[str] = []

    @classmethod
    def read(
        cls,
        path: Path,
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        naming: Naming,
    ) -> "Template":
        """Read a template file.

        Raises:
            TemplateError: the file is missing or not YAML; see also the constructor.
        """
        try:
            source = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
        except OSError as cause:
            raise TemplateError(f"{path}: {cause.strerror}") from cause
        except yaml.YAMLError as cause:
            raise TemplateError(f"{path}: not YAML: {cause}") from cause
        if not isinstance(source, dict) or "Resources" not in source:
            raise TemplateError(f"{path}: no Resources")
        return cls(source, parameters, pseudo, naming)

    def resources(self, wanted: Callable[[str], bool]) -> list[Resource]:
        """The resources whose condition holds, with the Globals of their type merged in.

        Args:
            wanted: whether resources of a type are of interest.

        Raises:
            TemplateError: something in a property cannot be resolved.
        """
        return [
            Resource(logical_id, body["Type"], self.resolve(self._properties(logical_id)))
            for logical_id, body in self._source["Resources"].items()
            if wanted(body["Type"]) and self._exists(logical_id)
        ]

    def _exists(self, logical_id: str) -> bool:
        condition = self._source["Resources"][logical_id].get("Condition")
        return condition is None or self.condition(condition)

    def _properties(self, logical_id: str) -> dict[str, Any]:
        body = self._source["Resources"][logical_id]
        section = body["Type"].removeprefix("AWS::Serverless::")
        inherited = self._source.get("Globals", {}).get(section, {})
        return _merge(inherited, body.get("Properties", {}))

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds.

        Raises:
            TemplateError: there is no such condition, or it refers to itself.
        """
        if name not in self._conditions:
            try:
                expression = self._source.get("Conditions", {})[name]
            except KeyError:
                raise TemplateError(f"no condition {name!r}") from None
            with _Guard(self._open, f"condition {name}"):
                self._conditions[name] = self._truth(expression)
        return self._conditions[name]

    def _truth(self, expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return self.condition(name)
            case {"Fn::Equals": [left, right]}:
                return bool(self.resolve(left) == self.resolve(right))
            case {"Fn::Not": [inner]}:
                return not self._truth(inner)
            case {"Fn::And": [*inner]}:
                return all(self._truth(one) for one in inner)
            case {"Fn::Or": [*inner]}:
                return any(self._truth(one) for one in inner)
        raise TemplateError(f"not a condition that the local stack knows: {expression!r}")

    def resolve(self, value: Any) -> Any:
        """Plain data for anything in the template.

        Raises:
            TemplateError: an intrinsic function is unknown, malformed, or names nothing.
        """
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not NO_VALUE}

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", str(name):
                return self._ref(name)
            case "Fn::GetAtt", [str(name), *path]:
                return self._get_att(name, ".".join(map(str, path)))
            case "Fn::Sub", str(text):
                return self._sub(text, {})
            case "Fn::Sub", [str(text), dict(values)]:
                return self._sub(text, {key: self.resolve(one) for key, one in values.items()})
            case "Fn::If", [str(condition), then, otherwise]:
                return self.resolve(then if self.condition(condition) else otherwise)
            case "Fn::Join", [str(separator), values]:
                return separator.join(map(str, self.resolve(values)))
            case "Fn::Split", [str(separator), text]:
                return str(self.resolve(text)).split(separator)
            case "Fn::Select", [index, values]:
                return self.resolve(values)[int(self.resolve(index))]
            case "Fn::FindInMap", [name, first, second]:
                return self._find_in_map(*map(self.resolve, (name, first, second)))
        raise TemplateError(f"the local stack does not know {function} {argument!r}")

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._attributes_of(name).ref

    def _get_att(self, name: str, attribute: str) -> str:
        attributes = self._attributes_of(name).attributes
        try:
            return attributes[attribute]
        except KeyError:
            raise TemplateError(
                f"{name}.{attribute}: the local stack knows only {sorted(attributes)} of it"
            ) from None

    def _attributes_of(self, logical_id: str) -> Attributes:
        if logical_id not in self._attributes:
            body = self._source["Resources"].get(logical_id)
            if body is None:
                raise TemplateError(f"nothing is called {logical_id!r}")
            if not self._exists(logical_id):
                raise TemplateError(f"{logical_id} does not exist under its condition")
            properties = self._properties(logical_id)
            with _Guard(self._open, logical_id):
                self._attributes[logical_id] = self._naming(
                    logical_id, body["Type"], lambda name: self.resolve(properties.get(name))
                )
        return self._attributes[logical_id]

    def _sub(self, text: str, values: Mapping[str, Any]) -> str:
        def replace(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in values:
                return str(values[name])
            if "." in name:
                return str(self._get_att(*name.split(".", 1)))
            return str(self._ref(name))

        return _PLACEHOLDER.sub(replace, text)

    def _find_in_map(self, name: str, first: str, second: str) -> Any:
        try:
            return self._source["Mappings"][name][first][second]
        except KeyError:
            raise TemplateError(f"no {first}.{second} in mapping {name!r}") from None


class _Guard:
    """Refuses a name that depends on itself, with the way it does."""

    def __init__(self, names: list[str], name: str) -> None:
        self._names = names
        self._name = name

    def __enter__(self) -> None:
        if self._name in self._names:
            raise TemplateError(f"circular: {' -> '.join([*self._names, self._name])}")
        self._names.append(self._name)

    def __exit__(self, *_: object) -> None:
        self._names.pop()


def _merge(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """SAM's rule for Globals: maps are merged, lists added up, other values replaced."""
    merged = dict(inherited)
    for key, value in own.items():
        base = merged.get(key)
        if isinstance(base, dict) and isinstance(value, dict) and not _is_call(base, value):
            merged[key] = _merge(base, value)
        elif isinstance(base, list) and isinstance(value, list):
            merged[key] = base + value
        else:
            merged[key] = value
    return merged


def _is_call(*values: Mapping[str, Any]) -> bool:
    return any(
        len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")) for value in values
    )
