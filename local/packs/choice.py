"""Which pack a user wants for a role, where several are installed: kept in SCREENER_HOME."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from screener.errors import ConfigurationError

_Choice = TypeAdapter(dict[str, str])


def _file(home: Path) -> Path:
    return home / "packs-in-use.json"


def read_choice(home: Path) -> dict[str, str]:
    """ "analyzer.role" -> pack name; empty where the user left it to the catalogue.

    Raises:
        ConfigurationError: the file is not what `write_choice` writes.
    """
    try:
        return _Choice.validate_json(_file(home).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as cause:
        raise ConfigurationError(f"{_file(home)} cannot be used; remove it: {cause}") from cause


def write_choice(home: Path, choice: Mapping[str, str]) -> None:
    """Replace the choice in one step."""
    home.mkdir(parents=True, exist_ok=True)
    made = _file(home).with_name(f"packs-in-use-{uuid.uuid4().hex}.json")
    made.write_text(json.dumps(dict(sorted(choice.items())), indent=2) + "\n")
    made.replace(_file(home))
