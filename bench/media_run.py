"""Runs one extraction as the functions do, with its costs."""

import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.file_sink import FileSink
from screener.media import MediaFacts, MediaLimits, extract, probe
from screener.media.facts import Extraction, ExtractionOrder
from screener.media.source import FileSource
from screener.sampling import Sampling


class Cost(NamedTuple):
    """Seconds of one measure: on the clock, and of processor time on all cores."""

    wall_s: float
    cpu_s: float


class Run(NamedTuple):
    """One extraction. Processor time is that of parent and child; memory the child's largest."""

    extraction: Extraction
    cost: Cost
    peak_mb: float


def probed(path: Path) -> MediaFacts:
    with FileSource(path) as source:
        return probe(source)


def run(path: Path, facts: MediaFacts, sampling: Sampling, keep: Path | None = None) -> Run:
    """Extract a whole file; the bundle goes to `keep` when it is given."""
    order = ExtractionOrder(
        size_bytes=path.stat().st_size,
        limits=MediaLimits(),
        sampling=sampling,
        start_ms=0,
        end_ms=None,
        duration_ms=facts.duration_ms,
        width=facts.width,
        height=facts.height,
        threads=len(os.sched_getaffinity(0)),
        counted_pictures=facts.counted_pictures,
    )
    with TemporaryDirectory() as folder, FileSource(path) as source:
        frames = FileSink(keep or Path(folder) / "frames.tar")
        audio = FileSink(Path(folder) / "audio.flac")
        started, cpu_before = time.perf_counter(), time.process_time()
        extraction = extract(source, order, frames, audio)
        frames.finish()
        audio.finish()
        wall_s = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_before + extraction.processor_ms / 1000
    return Run(extraction, Cost(wall_s, cpu_s), extraction.peak_memory_bytes / 1_000_000)


def children_cpu_s() -> float:
    """Processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
