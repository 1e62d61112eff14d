"""Writes docs/parameters.md from template.yaml: every parameter is documented where it is declared.

python -m local.operate.parameters > docs/parameters.md
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from local.operate.templates import TEMPLATE, read_template

_HEAD = """\
# Parameters

What `sam deploy` can be told, in the groups of the console. Written by
`python -m local.operate.parameters` from `template.yaml`; change it there. `samconfig.toml` sets
some of them per environment.
"""


def parameters_page(template: Mapping[str, Any]) -> str:
    """The page, for a decoded template.

    Raises:
        ValueError: a parameter is in no group or in two, has no description, or a group names
            one that is not declared.
    """
    parameters = template["Parameters"]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    if sorted(grouped) != sorted(parameters):
        wrong = sorted(set(grouped) ^ set(parameters)) or "one is in two groups"
        raise ValueError(f"parameter groups and parameters differ: {wrong}")
    return "\n".join([_HEAD, *_sections(groups, parameters)])


def _sections(groups: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    for group in groups:
        yield f"## {group['Label']['default']}\n"
        yield "| parameter | default | allowed | what it is |"
        yield "|---|---|---|---|"
        for name in group["Parameters"]:
            one = parameters[name]
            description = " ".join(one.get("Description", "").split())
            if not description:
                raise ValueError(f"parameter {name} has no description")
            default = f"`{one['Default']}`" if str(one.get("Default", "")) else "empty"
            yield f"| `{name}` | {default} | {_allowed(one)} | {description} |"
        yield ""


def _allowed(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "AllowedPattern" in parameter:
        pattern = str(parameter["AllowedPattern"]).replace("|", "\\|")
        return f"`{pattern}`"
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter.get('MaxValue', 'any')}"
    return "any" if parameter["Type"] == "String" else "a list, separated by commas"


if __name__ == "__main__":
    sys.stdout.write(parameters_page(read_template(TEMPLATE)))
