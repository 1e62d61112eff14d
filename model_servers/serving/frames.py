"""What the three vision servers share: a frame bundle in, one observation per frame out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Generic, NamedTuple, TypeVar

import cv2
import numpy as np

from model_servers.serving.allocator import keep_freed_memory
from model_servers.serving.errors import MalformedRequest
from model_servers.serving.images import DecodedFrame, decode
from model_servers.serving.memory import FittingBatches
from model_servers.serving.model import Handler, Invocation
from model_servers.serving.packs import PackSet
from model_servers.serving.pipeline import in_batches, map_ordered
from model_servers.serving.runtime import Runtime
from model_servers.serving.timings import Stopwatch
from screener.bundles import CONTENT_TYPE, BundleReader, Frame, FrameBundleManifest, FrameEntry
from screener.observations import FrameTime, Observations

Inputs = TypeVar("Inputs")
Outputs = TypeVar("Outputs")
Observed = TypeVar("Observed", bound=FrameTime)

_WARM_UP_SIZE = (1280, 720)


class _Prepared(NamedTuple, Generic[Inputs]):
    entry: FrameEntry
    inputs: Inputs


class FrameModel(ABC, Generic[Inputs, Outputs, Observed]):
    """Decodes each frame once and takes it through preprocess, predict and postprocess.

    On CPU every worker thread takes a whole frame through all steps, so that decoding one
    frame overlaps inference on another. On GPU the workers decode and preprocess, and the
    networks run in the request's thread on batches that fill across frames.
    """

    STACKED: ClassVar[bool] = True
    """Whether `predict` stacks the frames of a batch into one network call."""

    def __init__(self, packs: PackSet, runtime: Runtime) -> None:
        self.packs = packs.references
        self.runtime = runtime
        # The frames keep every core busy already; OpenCV's own threads would only compete.
        cv2.setNumThreads(1)
        keep_freed_memory()
        self._batches = FittingBatches(runtime.batch_size, fixed=runtime.on_gpu and self.STACKED)
        self._workers = ThreadPoolExecutor(runtime.workers, thread_name_prefix="frames")

    @abstractmethod
    def preprocess(self, image: DecodedFrame) -> Inputs:
        """Pixels to network inputs. Runs in worker threads."""

    @abstractmethod
    def predict(self, batch: Sequence[Inputs]) -> Sequence[Outputs]:
        """Run the networks on prepared frames of one size; one output per input."""

    @abstractmethod
    def postprocess(self, entry: FrameEntry, inputs: Inputs, outputs: Outputs) -> Observed:
        """Raw outputs to the frame's observation. Runs in worker threads on CPU."""

    @abstractmethod
    def observations(
        self, manifest: FrameBundleManifest, frames: list[Observed], timings_ms: dict[str, float]
    ) -> Observations:
        """The answer to one request."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {CONTENT_TYPE: self.analyze}

    def warm_up(self) -> None:
        width, height = _WARM_UP_SIZE
        black = DecodedFrame(np.zeros((height, width, 3), np.uint8), width, height)
        inputs = self.preprocess(black)
        self._batches.run(self.predict, [inputs] * self.runtime.batch_size)

    def analyze(self, invocation: Invocation) -> Observations:
        """Observe every frame of a bundle.

        Raises:
            InvalidBundle: the bundle or one of its images is malformed.
            MalformedRequest: the header speaks of another video or chunk than the bundle.
            OutOfMemory: a single frame does not fit.
        """
        reader = BundleReader(invocation.body)
        manifest, stopwatch = reader.manifest, invocation.stopwatch
        attributes = invocation.attributes
        if attributes and (attributes.video_id, attributes.chunk) != (
            manifest.video_id,
            manifest.chunk,
        ):
            raise MalformedRequest(
                f"the header names video {attributes.video_id} chunk {attributes.chunk}, "
                f"the bundle {manifest.video_id} chunk {manifest.chunk}"
            )
        walk = self._in_batches if self.runtime.on_gpu else self._frame_by_frame
        frames = list(walk(reader, manifest, stopwatch))
        return self.observations(manifest, frames, stopwatch.read_ms())

    def _frame_by_frame(
        self, reader: BundleReader, manifest: FrameBundleManifest, stopwatch: Stopwatch
    ) -> Iterator[Observed]:
        def observe(frame: Frame) -> Observed:
            prepared = self._prepare(frame, manifest, stopwatch)
            with stopwatch.stage("predict"):
                [outputs] = self._batches.run(self.predict, [prepared.inputs])
            return self._finish(prepared, outputs, stopwatch)

        return map_ordered(self._workers, observe, reader, window=2 * self.runtime.workers)

    def _in_batches(
        self, reader: BundleReader, manifest: FrameBundleManifest, stopwatch: Stopwatch
    ) -> Iterator[Observed]:
        size = self.runtime.batch_size
        prepared = map_ordered(
            self._workers,
            lambda frame: self._prepare(frame, manifest, stopwatch),
            reader,
            window=2 * size,
        )
        for batch in in_batches(prepared, size):
            with stopwatch.stage("predict"):
                outputs = self._batches.run(self.predict, [item.inputs for item in batch])
            for item, output in zip(batch, outputs, strict=True):
                yield self._finish(item, output, stopwatch)

    def _prepare(
        self, frame: Frame, manifest: FrameBundleManifest, stopwatch: Stopwatch
    ) -> _Prepared[Inputs]:
        with stopwatch.stage("decode"):
            image = decode(frame, manifest.width, manifest.height)
        with stopwatch.stage("preprocess"):
            return _Prepared(frame.entry, self.preprocess(image))

    def _finish(
        self, prepared: _Prepared[Inputs], outputs: Outputs, stopwatch: Stopwatch
    ) -> Observed:
        with stopwatch.stage("postprocess"):
            return self.postprocess(prepared.entry, prepared.inputs, outputs)


def time_of(entry: FrameEntry) -> dict[str, int]:
    """The fields of `FrameTime` that an observation repeats from its bundle entry."""
    return {
        "index": entry.index,
        "timestamp_ms": entry.timestamp_ms,
        "span_start_ms": entry.span_start_ms,
        "span_end_ms": entry.span_end_ms,
    }
