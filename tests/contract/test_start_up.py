"""What a server does with the packs it is given: all, some, none, or wrong ones."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from screener.observations import Analyzer
from tests.frame_bundles import bundle_of, group_photo, jpeg
from tests.server_process import ServerProcess


def exit_of(analyzer: str, packs: Sequence[Path], **environment: str) -> tuple[int, str]:
    """Exit status and log of a server that is expected to give up."""
    with ServerProcess(analyzer, packs, **environment) as process:
        return process.process.wait(timeout=30), process.log_text()


def test_without_a_pack_it_ends_and_says_where_packs_belong() -> None:
    status, log = exit_of("moderation", [])
    assert status == 1
    assert "no model pack for moderation" in log
    assert "SCREENER_PACKS" in log


def test_a_changed_weight_is_not_served(
    packs_of: dict[Analyzer, list[Path]], tmp_path: Path
) -> None:
    pack = shutil.copytree(packs_of[Analyzer.MODERATION][0], tmp_path / "pack")
    network = pack / "320n.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    status, log = exit_of("moderation", [pack])
    assert status == 1
    assert "320n.onnx is not the file that pack.json lists" in log


def test_a_pack_of_another_analyzer_is_not_served(
    packs_of: dict[Analyzer, list[Path]],
) -> None:
    status, log = exit_of("objects", packs_of[Analyzer.MODERATION])
    assert status == 1
    assert "a pack of moderation, not of objects" in log


def test_two_packs_for_one_role_are_refused(
    packs_of: dict[Analyzer, list[Path]], tmp_path: Path
) -> None:
    first = packs_of[Analyzer.MODERATION][0]
    status, log = exit_of("moderation", [first, shutil.copytree(first, tmp_path / "again")])
    assert status == 1
    assert "has the role 'detector' too" in log


def test_a_wrong_setting_is_named() -> None:
    status, log = exit_of("moderation", [], SCREENER_PROVIDER="abacus")
    assert status == 2
    assert "SCREENER_PROVIDER" in log


def test_a_provider_that_is_not_there_is_named(packs_of: dict[Analyzer, list[Path]]) -> None:
    status, log = exit_of("moderation", packs_of[Analyzer.MODERATION], SCREENER_PROVIDER="tensorrt")
    assert status == 1
    assert "SCREENER_PROVIDER=tensorrt" in log


@pytest.mark.parametrize(("present", "score_is_none"), [("detector", True), ("classifier", False)])
def test_moderation_serves_the_one_role_that_has_a_pack(
    packs_of: dict[Analyzer, list[Path]], present: str, score_is_none: bool
) -> None:
    pack = packs_of[Analyzer.MODERATION][present == "classifier"]
    with ServerProcess("moderation", [pack]) as process:
        answer = process.wait_ready().post(bundle_of([jpeg(group_photo())]), "application/x-tar")
    result = answer.json()
    assert [reference["role"] for reference in result["packs"]] == [present]
    assert bool(result["detector_labels"]) is (present == "detector")
    assert (result["frames"][0]["nsfw_probability"] is None) is score_is_none


def test_objects_without_yolo_embeds_frames_and_texts_alike(
    packs_of: dict[Analyzer, list[Path]],
) -> None:
    clip = packs_of[Analyzer.OBJECTS][0]
    with ServerProcess("objects", [clip]) as process:
        process.wait_ready()
        frames = process.post(bundle_of([jpeg(group_photo())]), "application/x-tar").json()
        texts = process.post(b'{"texts": ["a cat", "a dog", "a cat"]}', "application/json").json()
        refused = [
            process.post(body, "application/json")
            for body in (b"{}", b'{"texts": []}', b'{"texts": [3]}', b"[" * 100_000)
        ]
    assert frames["detector_labels"] == []
    assert frames["frames"][0]["objects"] == []
    assert len(frames["frames"][0]["clip_embedding"]) == len(texts["embeddings"][0])
    assert frames["clip_logit_scale"] == texts["clip_logit_scale"] == 100.0
    assert texts["texts"] == ["a cat", "a dog", "a cat"]
    assert texts["embeddings"][0] == texts["embeddings"][2] != texts["embeddings"][1]
    assert [answer.status_code for answer in refused] == [400] * 4


def test_objects_without_clip_takes_no_texts(
    packs_of: dict[Analyzer, list[Path]], model_mirror: Path
) -> None:
    with ServerProcess("objects", [packs_of[Analyzer.OBJECTS][1]]) as process:
        process.wait_ready()
        frames = process.post(bundle_of([jpeg(group_photo())]), "application/x-tar").json()
        texts = process.post(b'{"texts": ["a cat"]}', "application/json")
    assert "person" in {found["label"] for found in frames["frames"][0]["objects"]}
    assert frames["frames"][0]["clip_embedding"] is None
    assert frames["clip_logit_scale"] is None
    assert texts.status_code == 415


def test_faces_needs_both_roles(packs_of: dict[Analyzer, list[Path]], model_mirror: Path) -> None:
    status, log = exit_of("faces", packs_of[Analyzer.FACES][:1])
    assert status == 1
    assert "no pack with role 'recogniser'" in log
