"""Is a file of a pack what its name says, and can loading it do nothing but load it?

A digest proves that a file was not changed since the pack was made. It does not prove that
the file was harmless then: a pickle named `model.onnx`, or an ONNX model that reads its
tensors from `../../etc/passwd`. These checks need no model runtime and no ONNX library,
which would add Protobuf to every image for the sake of a few field numbers.
"""

import json
import mmap
from collections.abc import Callable
from pathlib import Path

from screener.errors import InvalidPack
from screener.protobuf import COUNTED, MalformedMessage, fields

_MOST_TEXT_BYTES = 64 << 20
_MOST_NESTING = 32
_CTRANSLATE2_VERSIONS = range(1, 32)


def check_weights(path: Path) -> None:
    """Check one regular file by its suffix.

    Raises:
        InvalidPack: the suffix is not one that packs may hold, or the contents belie it.
    """
    check = _CHECKS.get(path.suffix.lower())
    if check is None:
        known = ", ".join(sorted(suffix for suffix in _CHECKS if suffix))
        raise InvalidPack(f"{path.name}: packs hold only {known} and licence texts")
    try:
        check(path)
    except (_Malformed, ValueError) as cause:
        raise InvalidPack(f"{path.name}: {cause}") from cause


class _Malformed(Exception):
    """The contents are not of the kind that the suffix promises."""


# ------------------------------------------------------------------------------------ text


def _check_text(path: Path) -> None:
    if path.stat().st_size > _MOST_TEXT_BYTES:
        raise _Malformed(f"text of more than {_MOST_TEXT_BYTES} bytes")
    if "\0" in path.read_text(encoding="utf-8"):
        raise _Malformed("not a text: holds NUL bytes")


def _check_json(path: Path) -> None:
    if path.stat().st_size > _MOST_TEXT_BYTES:
        raise _Malformed(f"JSON of more than {_MOST_TEXT_BYTES} bytes")
    try:
        json.loads(path.read_bytes())
    except RecursionError as cause:
        raise _Malformed("JSON nested too deeply") from cause


# ----------------------------------------------------------------------------- CTranslate2


def _check_ctranslate2(path: Path) -> None:
    """Version (uint32), then the model's kind as a counted, NUL-terminated name."""
    with path.open("rb") as file:
        version = int.from_bytes(file.read(4), "little")
        length = int.from_bytes(file.read(2), "little")
        kind = file.read(min(length, 256))
    if version not in _CTRANSLATE2_VERSIONS or not kind.endswith(b"Spec\0"):
        raise _Malformed("not a CTranslate2 model")


# ------------------------------------------------------------------------------------ ONNX
#
# Field numbers are those of onnx.proto3. A message's name here maps to the fields that hold
# other messages in which a tensor may hide.

_NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_IR_VERSION, _GRAPH, _EXTERNAL_DATA = 1, 7, 13


def _check_onnx(path: Path) -> None:
    if path.stat().st_size == 0:
        raise _Malformed("empty, not an ONNX model")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        try:
            _walk_model(data)
        except MalformedMessage as cause:
            raise _Malformed("not an ONNX model, or cut short") from cause


def _walk_model(data: mmap.mmap) -> None:
    found = set()
    for field in fields(data, 0, len(data)):
        if field.number not in _MODEL_FIELDS:
            raise _Malformed("not an ONNX model")
        found.add(field.number)
    if not {_IR_VERSION, _GRAPH} <= found:
        raise _Malformed("not an ONNX model: no version or no graph")
    _refuse_external_data(data, "model", 0, len(data), depth=0)


def _refuse_external_data(data: mmap.mmap, kind: str, start: int, end: int, depth: int) -> None:
    if depth > _MOST_NESTING:
        raise _Malformed(f"graphs nested more than {_MOST_NESTING} deep")
    nested = _NESTED.get(kind, {})
    for field in fields(data, start, end):
        if kind == "tensor" and field.number == _EXTERNAL_DATA:
            raise _Malformed("keeps tensors in another file, whose place it chooses itself")
        inner = nested.get(field.number)
        if inner is not None and field.wire == COUNTED:
            _refuse_external_data(data, inner, field.start, field.end, depth + 1)


_CHECKS: dict[str, Callable[[Path], None]] = {
    ".onnx": _check_onnx,
    ".bin": _check_ctranslate2,
    ".json": _check_json,
    ".txt": _check_text,
    ".md": _check_text,
    "": _check_text,
}
