"""Fixtures for material that is not part of the repository (real weights, real clips), and the
order of tests that several processes share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
_LONG_FIRST = ("faults", "integration", "contract", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Folders with long files first when several processes share the files: the short ones fill
    what is left at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return _LONG_FIRST.index(folder)


def _outside_folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{variable} names no folder and {default} does not exist")
    return folder.resolve()


@pytest.fixture(scope="session")
def model_mirror() -> Path:
    """Folder with weights for packs that no wheel carries."""
    return _outside_folder("SCREENER_MODEL_MIRROR", REPOSITORY.parent / "shared" / "models")


@pytest.fixture(scope="session")
def test_media() -> Path:
    """Folder with real clips, speech and portraits."""
    return _outside_folder("SCREENER_TEST_MEDIA", REPOSITORY.parent / "shared" / "media")
