"""A pack's family decides which code runs it; what does not fit is refused at start."""

import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local.packs.catalogue import load_catalogue
from model_servers.faces import detectors, recognisers
from model_servers.faces.detectors.scrfd import Scrfd
from model_servers.faces.detectors.yunet import YuNet
from model_servers.faces.families import load_detector, load_recogniser
from model_servers.serving.runtime import CPU, Runtime
from screener.errors import InvalidPack
from screener.packs import InstalledPack, read_pack
from tests.model_packs import face_packs, random_sface, yunet

RUNTIME = Runtime(CPU, workers=1, batch_size=1)


def with_parameters(pack: InstalledPack, **parameters: Any) -> InstalledPack:
    changed = pack.pack.model_copy(update={"parameters": parameters})
    return pack.model_copy(update={"pack": changed})


def test_each_detector_pack_gets_its_familys_code(tmp_path: Path, model_mirror: Path) -> None:
    scrfd, _ = face_packs(tmp_path, model_mirror)
    assert isinstance(load_detector(read_pack(scrfd), RUNTIME), Scrfd)
    assert isinstance(load_detector(read_pack(yunet(tmp_path, model_mirror)), RUNTIME), YuNet)


@pytest.mark.parametrize("package", [detectors, recognisers])
def test_every_family_has_a_pack_in_the_catalogue_and_every_pack_a_family(
    package: ModuleType,
) -> None:
    slot = {detectors: "faces.detector", recognisers: "faces.recogniser"}[package]
    named = {item.parameters.get("family") for item in load_catalogue().packs if item.slot == slot}
    assert named == {module.name for module in pkgutil.iter_modules(package.__path__)}


@pytest.mark.parametrize("family", [None, "", "facenet", "__init__", "scrfd", "os", ["sface"], 7])
def test_a_family_without_code_is_refused_with_those_that_have(
    tmp_path: Path, family: object
) -> None:
    pack = with_parameters(read_pack(random_sface(tmp_path)), family=family)
    with pytest.raises(InvalidPack, match="arcface, sface") as refusal:
        load_recogniser(pack, RUNTIME)
    assert repr(family) in str(refusal.value)


@pytest.mark.parametrize("family", ["scrfd", "yunet"])
def test_a_network_of_another_kind_is_no_detector(tmp_path: Path, family: str) -> None:
    pack = with_parameters(read_pack(random_sface(tmp_path)), family=family)
    with pytest.raises(InvalidPack, match="not a"):
        load_detector(pack, RUNTIME)


def test_a_detector_is_no_recogniser(tmp_path: Path, model_mirror: Path) -> None:
    pack = with_parameters(read_pack(yunet(tmp_path, model_mirror)), family="sface")
    with pytest.raises(InvalidPack, match="not a recogniser"):
        load_recogniser(pack, RUNTIME)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_std": 0},
        {"input_mean": "dark"},
        {"input_std": float("nan")},
        {"channel_order": "hsv"},
    ],
)
def test_senseless_input_parameters_are_refused_by_name(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    pack = with_parameters(read_pack(random_sface(tmp_path)), family="sface", **wrong)
    with pytest.raises(InvalidPack, match=next(iter(wrong))):
        load_recogniser(pack, RUNTIME)
