"""Which analyzers a machine's packs make."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.async_inference.spec import EndpointSpec
from local.stack.endpoints import LocalAnalyzers, endpoint_name, find_analyzers
from local.stack.plan import read_plan
from screener.observations import Analyzer
from screener.settings import AnalyzersSettings
from tests import model_packs

REPOSITORY = Path(__file__).resolve().parents[4]


def add(home: Path, analyzer: Analyzer, role: str) -> Path:
    weights = home / "weights.bin"
    weights.write_bytes(role.encode())
    return model_packs.make_pack(home / "packs", f"{analyzer}-{role}", analyzer, role, [weights])


def only_spec(found: LocalAnalyzers, parameters: Mapping[str, str]) -> EndpointSpec:
    (spec,) = found.specs(
        root=REPOSITORY, work_bucket="work", topic_arn="arn", servers={}, parameters=parameters
    )
    return spec


def test_without_packs_nothing_is_deployed_and_every_command_is_named(tmp_path: Path) -> None:
    found = find_analyzers(tmp_path)
    assert not found.packs
    assert found.parameters() == {}
    for analyzer in Analyzer:
        assert all(one.startswith("screener packs ") for one in found.missing[analyzer])


def test_faces_need_both_of_their_packs(tmp_path: Path) -> None:
    add(tmp_path, Analyzer.FACES, "detector")
    assert Analyzer.FACES not in find_analyzers(tmp_path).packs
    add(tmp_path, Analyzer.FACES, "recogniser")
    assert Analyzer.FACES in find_analyzers(tmp_path).packs


def test_the_template_and_the_endpoints_agree_on_what_is_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = add(tmp_path, Analyzer.TRANSCRIPTION, "speech")
    found = find_analyzers(tmp_path)
    plan = read_plan(REPOSITORY, found.parameters())
    environment = plan.functions["PlanAnalysesFunction"].environment
    monkeypatch.setenv("ANALYZERS", environment["ANALYZERS"])
    monkeypatch.setenv("WORK_BUCKET", "work")
    setting = AnalyzersSettings().analyzers[Analyzer.TRANSCRIPTION]
    spec = only_spec(found, plan.parameters)
    assert setting.deployed
    assert setting.instance_type == "local"
    assert spec.name == setting.endpoint == endpoint_name(Analyzer.TRANSCRIPTION)
    assert spec.environment["SCREENER_PACKS"] == str(pack)
    assert list(spec.command) == [sys.executable, "-m", "model_servers.serving", "transcription"]


def test_a_laptop_has_one_instance_each_unless_the_template_is_given_more(tmp_path: Path) -> None:
    add(tmp_path, Analyzer.TRANSCRIPTION, "speech")
    found = find_analyzers(tmp_path)
    one = read_plan(REPOSITORY, found.parameters()).parameters
    two = read_plan(REPOSITORY, {**found.parameters(), "TranscriptionMaxInstances": "2"}).parameters
    assert only_spec(found, one).max_instances == 1
    assert only_spec(found, two).max_instances == 2
