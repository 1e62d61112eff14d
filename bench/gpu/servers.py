"""The real server processes on a GPU, against the same servers on this machine's processor.

One POST of the whole bundle or audio file, as SageMaker sends it. The first answer on each
provider is compared with the other's; of the next ones the best counts.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.gpu.answers import compare
from screener.observations import Analyzer
from screener.packs import find_packs
from tests.server_process import ServerProcess

ROUNDS = 3


class Run(NamedTuple):
    """One server on one provider."""

    analyzer: Analyzer
    provider: str
    batch_size: str
    ready_s: float
    """Process start to `/ping` 200; on a GPU, CUDA's start and choosing algorithms included."""
    seconds: float
    """Best of the rounds, the whole material."""
    timings_ms: dict[str, float]
    """Per stage as the server reports them; stages overlap."""
    answer: bytes


def run(
    analyzer: Analyzer, packs: Sequence[Path], body: bytes, kind: str, provider: str, batch: int = 0
) -> Run:
    """Measure one server; `batch` 0 is the server's own choice.

    Raises:
        httpx.HTTPStatusError: it refused or failed.
    """
    started = time.perf_counter()
    environment = {"SCREENER_PROVIDER": provider, "SCREENER_BATCH_SIZE": str(batch)}
    with ServerProcess(analyzer, packs, **environment) as server:
        server.wait_ready()
        ready_s = time.perf_counter() - started
        first = _post(server, body, kind)
        best, timings = float("inf"), {}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            answer = _post(server, body, kind)
            seconds = time.perf_counter() - started
            if seconds < best:
                best, timings = seconds, answer.json()["timings_ms"]
    return Run(analyzer, provider, str(batch or "own"), ready_s, best, timings, first.content)


def _post(server: ServerProcess, body: bytes, kind: str) -> httpx.Response:
    answer = server.post(body, kind)
    answer.raise_for_status()
    return answer


def folders(packs: Path, analyzer: Analyzer) -> list[Path]:
    """The packs of one analyzer below a folder."""
    return [item.folder for item in find_packs(packs) if item.pack.analyzer is analyzer]


def differences(cpu: Run, gpu: Run) -> str:
    """What `compare` finds, in one line."""
    found = compare(cpu.analyzer, cpu.answer, gpu.answer)
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())
