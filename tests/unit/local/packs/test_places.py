from pathlib import Path

from local.packs.places import Places


def test_home_follows_its_own_variable_then_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for name in ("SCREENER_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert Places().home == tmp_path / "me" / ".cache" / "screener"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Places().home == tmp_path / "cache" / "screener"
    monkeypatch.setenv("SCREENER_HOME", "~/mine")
    assert Places().home == tmp_path / "me" / "mine"


def test_empty_and_relative_variables_do_not_move_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCREENER_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Places().home == tmp_path / ".cache" / "screener"


def test_a_mirror_that_is_not_there_is_no_mirror(monkeypatch, tmp_path):
    monkeypatch.setenv("SCREENER_MODEL_MIRROR", str(tmp_path / "missing"))
    assert Places().mirror is None
    monkeypatch.setenv("SCREENER_MODEL_MIRROR", str(tmp_path))
    assert Places().mirror == Path(tmp_path)
