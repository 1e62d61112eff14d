import pytest

from local.packs import missing_packs, packs_digest, select_packs
from local.packs.choice import write_choice
from local.packs.errors import UnknownPack
from local.packs.places import packs_folder
from screener import identity
from screener.errors import ConfigurationError, InvalidPack
from screener.observations import Analyzer
from screener.packs import PACK_FILE, Pack, PackFile


def install(home, name, analyzer, role):
    folder = packs_folder(home) / name
    folder.mkdir(parents=True)
    pack = Pack(
        name=name,
        version="1",
        analyzer=analyzer,
        role=role,
        source="a test",
        licence="MIT",
        files=[PackFile(path="a.onnx", sha256="0" * 64, size_bytes=1)],
    )
    (folder / PACK_FILE).write_text(pack.model_dump_json())
    return pack


def names(selected):
    return {
        analyzer.value: [found.pack.name for found in packs] for analyzer, packs in selected.items()
    }


def test_nothing_installed_selects_nothing_for_every_analyzer(tmp_path):
    assert names(select_packs(tmp_path)) == {
        "moderation": [],
        "faces": [],
        "transcription": [],
        "objects": [],
    }


def test_one_pack_per_role_the_catalogues_first(tmp_path):
    for name in ("nudenet-320n", "nudenet-640m"):
        install(tmp_path, name, Analyzer.MODERATION, "detector")
    install(tmp_path, "opennsfw2", Analyzer.MODERATION, "classifier")
    install(tmp_path, "aardvark", Analyzer.OBJECTS, "detector")
    install(tmp_path, "yolov8n", Analyzer.OBJECTS, "detector")
    selected = names(select_packs(tmp_path))
    assert sorted(selected["moderation"]) == ["nudenet-640m", "opennsfw2"]
    assert selected["objects"] == ["yolov8n"]


def test_an_override_wins_over_the_catalogues_order(tmp_path):
    for name in ("nudenet-320n", "nudenet-640m"):
        install(tmp_path, name, Analyzer.MODERATION, "detector")
    selected = select_packs(tmp_path, {"moderation.detector": "nudenet-320n"})
    assert names(selected)["moderation"] == ["nudenet-320n"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"moderation.detector": "nudenet-640m"},
        {"objects.detector": "yolov8n"},
        {"moderation.classifier": "nudenet-320n"},
        {"nonsense": "nudenet-320n"},
    ],
)
def test_an_override_that_cannot_be_followed_is_an_error(tmp_path, overrides):
    install(tmp_path, "nudenet-320n", Analyzer.MODERATION, "detector")
    with pytest.raises(UnknownPack, match="is not installed"):
        select_packs(tmp_path, overrides)


def test_a_standing_choice_is_followed_until_an_override_or_another_choice(tmp_path):
    for name in ("nudenet-320n", "nudenet-640m", "mine"):
        install(tmp_path, name, Analyzer.MODERATION, "detector")
    write_choice(tmp_path, {"moderation.detector": "mine"})
    assert names(select_packs(tmp_path))["moderation"] == ["mine"]
    once = select_packs(tmp_path, {"moderation.detector": "nudenet-320n"})
    assert names(once)["moderation"] == ["nudenet-320n"]
    write_choice(tmp_path, {})
    assert names(select_packs(tmp_path))["moderation"] == ["nudenet-640m"]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "\x00"])
def test_a_damaged_choice_is_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "packs-in-use.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"packs-in-use\.json cannot be used"):
        select_packs(tmp_path)


def test_a_broken_pack_is_an_error_and_not_an_absent_one(tmp_path):
    install(tmp_path, "nudenet-320n", Analyzer.MODERATION, "detector")
    (packs_folder(tmp_path) / "nudenet-320n" / PACK_FILE).write_text("{")
    with pytest.raises(InvalidPack):
        select_packs(tmp_path)


def test_the_digest_of_a_choice_is_that_of_its_roles_and_packs(tmp_path):
    one = install(tmp_path, "nudenet-320n", Analyzer.MODERATION, "detector")
    two = install(tmp_path, "opennsfw2", Analyzer.MODERATION, "classifier")
    chosen = select_packs(tmp_path)[Analyzer.MODERATION]
    expected = identity.packs_digest([("classifier", two.digest), ("detector", one.digest)])
    assert packs_digest(chosen) == packs_digest(reversed(chosen)) == expected


def test_missing_roles_are_named_with_their_command(tmp_path):
    install(tmp_path, "my-detector", Analyzer.OBJECTS, "detector")
    missing = missing_packs(tmp_path)
    assert missing[Analyzer.OBJECTS] == ["screener packs pull clip-vit-b-32"]
    assert missing[Analyzer.TRANSCRIPTION] == ["screener packs pull whisper-tiny.en"]
    assert len(missing[Analyzer.MODERATION]) == 2
