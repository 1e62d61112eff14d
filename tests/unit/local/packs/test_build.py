import json
import os
import stat
import sys

import pytest

from local.packs.build import build_pack, order_for_own_detector, order_from_catalogue
from local.packs.catalogue import Recipe, load_catalogue
from local.packs.errors import BuildFailed
from local.packs.install import installed_pack
from local.packs.places import packs_folder, scratch_folder
from local.packs.recipes.contract import Export, Job, Parity, Precision
from screener.errors import InvalidPack
from screener.observations import Analyzer
from screener.packs import PackFile, verify_pack

CATALOGUE = load_catalogue()


def order(pack="yolov8n", **changes):
    given = {"name": None, "weights": None, "licence": None, "mirror": None}
    given |= {"precision": Precision.FP32}
    return order_from_catalogue(CATALOGUE[pack], **given | changes)


def test_an_order_starts_from_the_mirrors_weights_and_else_from_the_librarys_own(tmp_path):
    assert (order().weights, order("clip-vit-b-32").weights) == ("", "openai")
    weights = tmp_path / "yolo" / "yolov8n.pt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    assert order(mirror=tmp_path).weights == str(weights)
    assert order(mirror=tmp_path).network == "yolov8n.onnx"


def test_half_precision_and_other_weights_never_take_the_catalogues_name(tmp_path):
    assert order(precision=Precision.FP16).name == "yolov8n-fp16"
    with pytest.raises(BuildFailed, match="need a --name"):
        order(weights="random")
    random = order(weights="random", name="yolo-random")
    assert (random.name, random.version) == ("yolo-random", "random")
    assert random.source == "random weights, for tests only"
    weights = tmp_path / "tuned.pt"
    weights.write_bytes(b"weights")
    tuned = order(weights=str(weights), name="tuned", licence="Apache-2.0")
    assert tuned.source.startswith("weights of your own, sha256 ")
    assert (tuned.licence, order(weights=str(weights), name="tuned").licence) == (
        "Apache-2.0",
        "not stated (weights of your own)",
    )
    with pytest.raises(BuildFailed, match="no such file"):
        order(weights=str(tmp_path / "gone.pt"), name="mine")


def test_8_bits_are_for_clip_only(tmp_path):
    assert order("clip-vit-l-14", precision=Precision.INT8).name == "clip-vit-l-14-int8"
    with pytest.raises(BuildFailed, match="for CLIP only"):
        order(precision=Precision.INT8)
    weights = tmp_path / "own.pt"
    weights.write_bytes(b"weights")
    with pytest.raises(BuildFailed, match="for CLIP only"):
        order_for_own_detector(weights, name=None, licence=None, precision=Precision.INT8)


def test_a_pack_that_is_published_is_not_built():
    with pytest.raises(BuildFailed, match="`screener packs pull yunet` gets it"):
        order("yunet")


def test_a_detector_of_ones_own_is_named_after_its_file_and_versioned_by_its_bytes(tmp_path):
    weights = tmp_path / "My Weapons (v2).pt"
    weights.write_bytes(b"weights")
    made = order_for_own_detector(weights, name=None, licence=None, precision=Precision.FP32)
    assert (made.name, made.network) == ("my-weapons-v2", "my-weapons-v2.onnx")
    assert made.recipe is Recipe.ULTRALYTICS
    assert made.version == "9a129038d9a0"  # of sha256("weights")
    assert (made.analyzer, made.role) == (Analyzer.OBJECTS, "detector")
    with pytest.raises(BuildFailed, match="letters and digits"):
        order_for_own_detector(weights, name="!!", licence=None, precision=Precision.FP32)


def test_without_the_libraries_the_build_fails_with_their_error_and_leaves_nothing(tmp_path):
    # The environment of the tests has no PyTorch.
    with pytest.raises(BuildFailed, match="No module named 'open_clip'"):
        build_pack(order("clip-vit-b-32"), tmp_path, lambda: sys.executable)
    assert installed_pack(tmp_path, "clip-vit-b-32") is None
    assert [path for path in scratch_folder(tmp_path).iterdir() if path.is_dir()] == []


# A stand-in for the build environment's Python: it is given the job as the real one is, and
# leaves behind what a recipe leaves behind. What the recipes do is tested in their place.
STAND_IN = """#!{python}
import json, shutil, sys
job = json.load(open(sys.argv[-1]))
shutil.copy({network!r}, job["folder"] + "/" + job["network"])
report = {report!r}
if report is not None:
    open(job["folder"] + "/export.json", "w").write(report)
"""


@pytest.fixture
def environment(tmp_path):
    """Makes a stand-in that leaves the given network and report."""

    def make(network, report):
        given = tmp_path / "given.onnx"
        given.write_bytes(network)
        script = tmp_path / "python"
        script.write_text(STAND_IN.format(python=sys.executable, network=str(given), report=report))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return lambda: script

    return make


NETWORK = b"\x08\x0a" + b"\x3a\x00"  # an ONNX model of version 10 with an empty graph


def report(value=0.001, limit=0.1, **changes):
    export = Export(
        files=["yolov8n.onnx"],
        input_size=(640, 640),
        class_names=["cat", "dog"],
        parameters={"family": "yolov8", "precision": "fp32"},
        libraries={"ultralytics": "8.4"},
        compared_on=["bus.jpg"],
        parity=[Parity(measure="largest box difference", value=value, limit=limit)],
    )
    return json.dumps(json.loads(export.model_dump_json()) | changes)


def test_a_build_that_agrees_with_its_library_is_installed_with_the_proof(tmp_path, environment):
    build_pack(order(), tmp_path, environment(NETWORK, report()))
    pack = verify_pack(packs_folder(tmp_path) / "yolov8n").pack
    assert pack.class_names == ["cat", "dog"]
    assert pack.parameters == {"family": "yolov8", "precision": "fp32"}
    assert pack.provenance["parity"] == [
        {"measure": "largest box difference", "value": 0.001, "limit": 0.1}
    ]
    assert pack.provenance["compared_on"] == ["bus.jpg"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (report(value=0.2), r"largest box difference: 0\.2, allowed 0\.1"),
        (report(parity=[]), "nothing compared"),
        (report(value=0.2).replace("0.2", "NaN"), "largest box difference: nan"),
        (None, "no usable report"),
        ("{}", "no usable report"),
    ],
    ids=["too different", "not compared", "not a number", "no report", "empty report"],
)
def test_what_is_not_shown_to_agree_is_not_installed(tmp_path, environment, text, reason):
    with pytest.raises(BuildFailed, match=reason):
        build_pack(order(), tmp_path, environment(NETWORK, text))
    assert installed_pack(tmp_path, "yolov8n") is None


def test_an_export_that_is_no_onnx_model_is_not_installed(tmp_path, environment):
    with pytest.raises(InvalidPack, match="not an ONNX model"):
        build_pack(order(), tmp_path, environment(b"\x80\x04]\x94.", report()))
    assert installed_pack(tmp_path, "yolov8n") is None


def test_the_recipe_gets_its_job_and_no_licence_to_install_or_report_home(tmp_path, environment):
    seen = tmp_path / "seen.json"
    python = environment(NETWORK, report())
    script = python()
    script.write_text(
        script.read_text()
        + f"import os; json.dump([job, dict(os.environ), os.getcwd()], open({str(seen)!r}, 'w'))"
    )
    build_pack(order(precision=Precision.FP16), tmp_path / "home", python, tmp_path)
    job, variables, folder = json.loads(seen.read_text())
    parsed = Job.model_validate(job)
    assert (parsed.precision, parsed.images) == (Precision.FP16, tmp_path)
    assert variables["YOLO_AUTOINSTALL"] == "false"
    assert variables["YOLO_CONFIG_DIR"] == folder
    assert not os.path.exists(folder)  # noqa: PTH110


def test_described_files_are_those_of_the_report(tmp_path, environment):
    built = build_pack(order(), tmp_path, environment(NETWORK, report()))
    [file] = built.pack.files
    assert isinstance(file, PackFile)
    assert file.size_bytes == len(NETWORK)
