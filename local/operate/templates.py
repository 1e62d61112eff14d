"""CloudFormation files as plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"


def read_template(path: Path) -> Mapping[str, Any]:
    """A CloudFormation file with its short forms spelled out (`!Ref x` as {"Ref": x}).

    Raises:
        ValueError: it cannot be parsed.
    """
    # Not at the top: a second of importing that most commands would pay for nothing.
    from cfnlint.decode import decode  # type: ignore[import-untyped]

    template, problems = decode(str(path))
    if template is None or problems:
        raise ValueError(f"{path}: {'; '.join(str(problem) for problem in problems)}")
    return template  # type: ignore[no-any-return]
