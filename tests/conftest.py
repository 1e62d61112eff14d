"""Fixtures for material that is not part of the repository: real weights and real clips."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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
