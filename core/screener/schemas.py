"""The published JSON Schemas: documents for readers in any language, policies for editors.

`python -m screener.schemas FOLDER` writes them; a test keeps docs/schema/ current.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from screener.document import Document
from screener.policy.model import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def published() -> dict[str, str]:
    """File name -> content of every published schema."""
    return {
        "document.schema.json": _schema(Document, "serialization", "Screener document 1.0"),
        "policy.schema.json": _schema(Policy, "validation", "Screener policy 1"),
    }


def write(folder: Path) -> None:
    """Write the schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in published().items():
        (folder / name).write_text(content, encoding="utf-8")


def _schema(
    model: type[BaseModel], mode: Literal["serialization", "validation"], title: str
) -> str:
    schema: dict[str, Any] = {"$schema": DIALECT, **model.model_json_schema(mode=mode)}
    schema["title"] = title
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
