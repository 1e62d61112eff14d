"""Environments of samconfig.toml and what was published for them."""

from pathlib import Path

import pytest

from local.operate.environments import Published, published_file, read_environment, read_published
from local.operate.templates import ROOT
from screener.errors import ConfigurationError
from screener.observations import Analyzer

CONFIG = """
version = 0.1
[default.build.parameters]
parallel = true
[test.global.parameters]
region = "eu-west-1"
stack_name = "screener-test"
[test.deploy.parameters]
parameter_overrides = ["FacesMaxInstances=7", "Sampling={\\"frames_per_second\\": 2}"]
"""


def checkout(folder: Path, config: str = CONFIG) -> Path:
    (folder / "samconfig.toml").write_text(config, "utf-8")
    return folder


def test_an_environment_has_defaults_and_what_it_sets_itself(tmp_path: Path) -> None:
    environment = read_environment("test", checkout(tmp_path))
    assert (environment.region, environment.stack_name) == ("eu-west-1", "screener-test")
    assert environment.max_instances(Analyzer.FACES) == 7
    assert environment.max_instances(Analyzer.OBJECTS) == 2
    assert environment.parameters["Sampling"] == '{"frames_per_second": 2}'
    assert environment.deployed == []


def test_what_was_published_wins(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    path = published_file("test", root)
    path.parent.mkdir(parents=True)
    parameters = {"FacesImageUri": "image", "FacesPacks": "packs", "FacesMaxInstances": "1"}
    path.write_text(Published(parameters=parameters).model_dump_json(), "utf-8")
    environment = read_environment("test", root)
    assert environment.deployed == [Analyzer.FACES]
    assert environment.max_instances(Analyzer.FACES) == 1


def test_before_anything_is_published_nothing_is(tmp_path: Path) -> None:
    assert read_published("test", tmp_path) == Published()


def test_a_broken_note_of_what_was_published_is_refused(tmp_path: Path) -> None:
    path = published_file("test", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text('{"parameters": 3}', "utf-8")
    with pytest.raises(ConfigurationError, match=r"test\.json"):
        read_published("test", tmp_path)


def test_an_unknown_environment_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no environment 'prod'; it has test"):
        read_environment("prod", checkout(tmp_path))


@pytest.mark.parametrize(
    ("override", "message"),
    [("NoSuchParameter=1", "no parameter NoSuchParameter"), ("Sampling", "not NAME=VALUE")],
)
def test_a_wrong_override_is_refused_by_name(tmp_path: Path, override: str, message: str) -> None:
    config = CONFIG.replace("FacesMaxInstances=7", override)
    with pytest.raises(ConfigurationError, match=message):
        read_environment("test", checkout(tmp_path, config))


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_shipped_environments_can_be_read(name: str) -> None:
    assert read_environment(name, ROOT).stack_name == f"screener-{name}"
