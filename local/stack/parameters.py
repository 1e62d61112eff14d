"""Template parameters: defaults, given values, and their declared constraints."""

import re
from collections.abc import Mapping
from typing import Any

from screener.errors import ScreenerError


class TemplateError(ScreenerError):
    """The template is wrong, or uses something that the local stack does not know."""


def parameter_values(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]
) -> dict[str, Any]:
    """The value of every declared parameter: as given, else its default.

    Raises:
        TemplateError: a parameter has no value, a value that its constraints forbid, or is
            not declared.
    """
    unknown = given.keys() - declared.keys()
    if unknown:
        raise TemplateError(f"no such parameters: {sorted(unknown)}")
    return {name: _parameter_value(name, body, given) for name, body in declared.items()}


def _parameter_value(name: str, body: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    text = str(given[name] if name in given else body.get("Default", ""))
    if name not in given and "Default" not in body:
        raise TemplateError(f"parameter {name} has no default and no value")
    allowed = body.get("AllowedValues")
    if allowed is not None and text not in map(str, allowed):
        raise TemplateError(f"parameter {name}: {text!r} is not one of {allowed}")
    pattern = body.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise TemplateError(f"parameter {name}: {text!r} does not match {pattern}")
    match body.get("Type"):
        case "String":
            return text
        case "Number":
            return _number(name, text, body)
        case "CommaDelimitedList" | "List<String>":
            return [part.strip() for part in text.split(",")] if text else []
        case str(other) if other.startswith(("AWS::", "List<AWS::")):
            return [part for part in text.split(",") if part] if other[0] == "L" else text
        case other:
            raise TemplateError(f"parameter {name}: the local stack does not know type {other!r}")


def _number(name: str, text: str, body: Mapping[str, Any]) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise TemplateError(f"parameter {name}: {text!r} is not a number") from None
    if not body.get("MinValue", number) <= number <= body.get("MaxValue", number):
        raise TemplateError(
            f"parameter {name}: {text} is outside {body.get('MinValue')}..{body.get('MaxValue')}"
        )
    return int(number) if number.is_integer() else number
