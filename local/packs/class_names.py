"""Class names that exporters write into the weights."""

import ast
from pathlib import Path

from screener.errors import InvalidPack


def class_names_of(weights: Path) -> list[str]:
    """Class names in the order of the outputs, as Ultralytics writes them into its exports.

    Raises:
        InvalidPack: not an ONNX model, or the names are not numbered from 0 without a gap.
    """
    # Imported here: it takes longer than all the rest of `pull` when nothing is to do.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
    except Exception as cause:  # its errors share no base class
        raise InvalidPack(f"{weights.name}: ONNX Runtime cannot load it: {cause}") from cause
    text = session.get_modelmeta().custom_metadata_map.get("names")
    if text is None:
        return []
    try:
        names = ast.literal_eval(text)
        return [str(names[number]) for number in range(len(names))]
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError) as cause:
        raise InvalidPack(
            f"{weights.name}: its class names cannot be read: {text[:200]}"
        ) from cause
