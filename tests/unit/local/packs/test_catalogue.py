import pytest
from pydantic import ValidationError

from local.packs.catalogue import Catalogue, CatalogueFile, load_catalogue
from local.packs.errors import UnknownPack
from screener.observations import Analyzer
from screener.policy.loading import Preset, load_preset

SLOTS = {
    "moderation.detector",
    "moderation.classifier",
    "faces.detector",
    "faces.recogniser",
    "transcription.speech",
    "objects.detector",
    "objects.clip",
}


def test_every_role_of_every_analyzer_has_a_default():
    assert {slot for slot, _ in load_catalogue().defaults()} == SLOTS


def test_every_pack_says_where_it_comes_from_and_under_which_licence():
    for entry in load_catalogue().packs:
        assert entry.source.startswith("https://")
        assert len(entry.licence) > 2
        assert entry.build or entry.downloadable or any(file.mirror for file in entry.files)


def test_the_project_has_a_face_pair_and_a_detector_that_may_be_used_commercially():
    entries = load_catalogue().packs
    for slot in SLOTS:
        assert any(entry.commercial_use for entry in entries if entry.slot == slot), slot


@pytest.mark.parametrize("preset", list(Preset))
def test_every_preset_compares_faces_with_the_threshold_of_their_recogniser(preset: Preset):
    stated = {
        entry.name: entry.parameters["same_person_cosine"]
        for entry in load_catalogue().packs
        if entry.slot == "faces.recogniser"
    }
    assert stated["sface"] == 0.363
    assert load_preset(preset).faces.thresholds == stated


def test_a_group_stands_for_its_packs_and_repeats_count_once():
    names = [entry.name for entry in load_catalogue().expand(["buffalo_l", "scrfd-10g", "sface"])]
    assert names == ["scrfd-10g", "w600k-r50", "sface"]


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UnknownPack, match=r"no pack is named 'yolo99'; there are .*yolov8n.*yunet"):
        load_catalogue().expand(["yolo99"])


def test_packs_of_the_users_own_come_after_all_others():
    catalogue = load_catalogue()
    assert catalogue.preference("nudenet-640m") < catalogue.preference("nudenet-320n")
    assert catalogue.preference("mine") == len(catalogue.packs)


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": "0" * 64},
        {"basis": "measured"},
        {"sha256": "xyz", "basis": "measured"},
        {"url": "http://example.org/a.onnx"},
        {"colour": "red"},
    ],
)
def test_a_careless_entry_is_refused(fields):
    with pytest.raises(ValidationError):
        CatalogueFile.model_validate({"path": "a.onnx", **fields})


def entry(name: str, **fields: object) -> dict[str, object]:
    return {
        "name": name,
        "analyzer": Analyzer.OBJECTS,
        "role": "detector",
        "version": "1",
        "summary": "a test",
        "licence": "MIT",
        "commercial_use": True,
        "source": "https://example.org",
        "files": [{"path": "a.onnx"}],
        **fields,
    }


@pytest.mark.parametrize(
    ("packs", "groups"),
    [
        ([entry("a"), entry("a")], {}),
        ([entry("a")], {"a": ["a"]}),
        ([entry("a")], {"pair": ["a", "b"]}),
        ([entry("a", labels="coco")], {}),
    ],
    ids=["same name twice", "group named as a pack", "group of the unknown", "unknown labels"],
)
def test_a_catalogue_that_contradicts_itself_is_refused(packs, groups):
    with pytest.raises(ValidationError):
        Catalogue.model_validate({"labels": {}, "groups": groups, "packs": packs})
