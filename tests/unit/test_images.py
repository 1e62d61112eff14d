import re
from pathlib import Path

import pytest

from screener.observations import Analyzer

REPOSITORY = Path(__file__).resolve().parents[2]
BAKE = (REPOSITORY / "docker-bake.hcl").read_text()


def dockerfile(analyzer: Analyzer) -> str:
    return (REPOSITORY / "model_servers" / analyzer / "Dockerfile").read_text()


@pytest.mark.parametrize("analyzer", list(Analyzer))
def test_every_image_starts_from_the_same_base_by_digest(analyzer: Analyzer) -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile(analyzer), re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert f'default = "{base}"' in BAKE
    starts = re.findall(r"^FROM (\S+)", dockerfile(analyzer), re.MULTILINE)
    assert starts == ["${PYTHON_IMAGE}"] * 2


@pytest.mark.parametrize("analyzer", list(Analyzer))
def test_every_image_runs_without_root_and_has_a_health_check(analyzer: Analyzer) -> None:
    final = dockerfile(analyzer).rpartition("FROM ")[2]
    [user] = re.findall(r"^USER (\d+)", final, re.MULTILINE)
    assert int(user) > 0
    assert "HEALTHCHECK" in final


@pytest.mark.parametrize("analyzer", list(Analyzer))
@pytest.mark.parametrize("variant", ["", "-gpu"])
def test_every_lock_that_an_image_installs_is_hashed_and_holds_no_pytorch(
    analyzer: Analyzer, variant: str
) -> None:
    lock = (REPOSITORY / "model_servers" / analyzer / f"requirements{variant}.lock").read_text()
    names = re.findall(r"^([a-z0-9][a-z0-9._-]*)==\S+", lock, re.MULTILINE)
    assert names
    assert not {"torch", "torchvision", "ultralytics", "open-clip-torch", "keras"} & set(names)
    assert lock.count("--hash=sha256:") >= len(names)
