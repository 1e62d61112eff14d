"""PyTorch modules to ONNX files."""

from pathlib import Path

import torch

_OPSET = 18


def export_module(module: torch.nn.Module, example: torch.Tensor, path: Path, entry: str) -> None:
    """Export a module of one tensor to one tensor, the first axis of both being free."""
    torch.onnx.export(
        module.eval(),
        (example,),
        path,
        dynamo=True,
        dynamic_shapes={entry: {0: torch.export.Dim("batch", min=1)}},
        input_names=[entry],
        # Not "embedding": the exporter names the text tower's token lookup so, and collides.
        output_names=["output"],
        external_data=False,
        opset_version=_OPSET,
        verbose=False,
    )
