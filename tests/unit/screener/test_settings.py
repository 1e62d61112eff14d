import pytest

from screener.errors import ConfigurationError
from screener.observations import Analyzer
from screener.settings import AnalyzersSettings


def test_a_missing_setting_is_named(monkeypatch):
    class Needs(AnalyzersSettings):
        table_name: str

    monkeypatch.setenv("WORK_BUCKET", "work")
    monkeypatch.setenv("ANALYZERS", "{}")
    monkeypatch.delenv("TABLE_NAME", raising=False)
    with pytest.raises(ConfigurationError, match="TABLE_NAME"):
        Needs.load()


def test_an_analyzer_without_packs_is_not_deployed(monkeypatch):
    class Fresh(AnalyzersSettings):
        pass

    monkeypatch.setenv("WORK_BUCKET", "work")
    monkeypatch.setenv(
        "ANALYZERS",
        '{"faces": {"endpoint": "", "packs": ""},'
        ' "moderation": {"endpoint": "m", "packs": "s3://p/packs/moderation/abc/"}}',
    )
    analyzers = Fresh.load().analyzers
    assert not analyzers[Analyzer.FACES].deployed
    assert not analyzers[Analyzer.OBJECTS].deployed
    assert analyzers[Analyzer.MODERATION].deployed
    assert analyzers[Analyzer.MODERATION].packs_digest == "abc"
