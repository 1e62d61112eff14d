"""The same networks in PyTorch, compiled, in half precision: what else the card could do.

Needs torch with CUDA, open_clip for CLIP and ultralytics for YOLO; random weights do, because
only time is measured.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from bench.gpu.networks import Speed

_SIDE = 8192


def half_precision_rate() -> float:
    """Operations a second of a bfloat16 matrix product of 8192 x 8192, random numbers."""
    a = torch.randn(_SIDE, _SIDE, device="cuda", dtype=torch.bfloat16)
    return 2 * _SIDE**3 / (_milliseconds(lambda: a @ a) / 1000)


def measure(
    name: str,
    network: torch.nn.Module,
    shape: tuple[int, ...],
    batches: Sequence[int],
    gflop: float,
    *,
    compiled: bool,
) -> Iterator[Speed]:
    """Time a module in float16, replayed as a CUDA graph, compiled by Inductor first if asked."""
    network = network.eval().half().cuda()
    if len(shape) == 3 and not any(isinstance(m, torch.nn.LayerNorm) for m in network.modules()):
        network = network.to(memory_format=torch.channels_last)
    call = torch.compile(network, dynamic=False) if compiled else network
    for batch in batches:
        host = torch.rand(batch, *shape, dtype=torch.float16).pin_memory()
        resident = host.cuda()
        with torch.inference_mode():
            replay = _captured(call, resident)

            def from_host() -> None:
                resident.copy_(host, non_blocking=True)  # noqa: B023
                replay()  # noqa: B023

            yield Speed(
                name,
                "fp16, compiled" if compiled else "fp16",
                batch,
                _milliseconds(replay) / batch,
                _milliseconds(from_host) / batch,
                gflop,
            )


def _captured(network: Callable[[torch.Tensor], object], entry: torch.Tensor) -> Callable[[], None]:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(entry)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(entry)
    replay: Callable[[], None] = graph.replay
    return replay


def _milliseconds(work: Callable[[], object], calls: int = 30) -> float:
    """Median of calls timed by the card's own events."""
    for _ in range(3):
        work()
    taken: list[float] = []
    for _ in range(calls):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end))
    return sorted(taken)[calls // 2]
