"""Scene scores: cached CLIP embeddings of frames against those of the policy's prompts.

A new prompt needs one small text request, not a new pass over the video.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from screener.errors import InvalidObservations
from screener.observations import (
    ObjectsFrame,
    ObjectsObservations,
    Observations,
    TextEmbeddings,
    decode_embedding,
    decode_embeddings,
)
from screener.policy.findings import Hit, segments
from screener.policy.model import ScenesPolicy
from screener.sections import SceneReport, SceneScore, Segment
from screener.taxonomy import Source

CLIP = "clip"
_STEEPEST = 1e6
"""CLIP's training clips its logit scale at 100. Far above, and for what is no number, every score
is NaN, and no threshold is ever reached."""


class Scenes:
    """Scores the frames of one video against a policy's prompts.

    The score of a scene is the sum of its prompts' softmax probabilities among all prompts,
    contrast prompts included.

    Args:
        frames: all frames, named and in order of time.
        chunks: the observations that they come from.
        texts: embeddings of texts, of any packs; those of the frames' pack are used.
        policy: prompts and thresholds.

    Raises:
        InvalidObservations: a frame's embedding or the logit scale is not usable.
    """

    def __init__(
        self,
        frames: Sequence[tuple[str, ObjectsFrame]],
        chunks: Sequence[ObjectsObservations],
        texts: Sequence[TextEmbeddings],
        policy: ScenesPolicy,
    ) -> None:
        self._policy = policy
        self._frames = frames
        self._scores: NDArray[np.float32] | None = None
        self.unanswered: str | None = None
        self.unanswered_action: str | None = None
        if not policy.scenes:
            self.unanswered = "the policy has no scene prompts"
        elif any(frame.clip_embedding is None for _, frame in frames):
            self.unanswered = "the objects analyzer has no CLIP pack"
            self.unanswered_action = "screener packs pull clip-vit-b-32"
        else:
            self._score(chunks, texts)
        self.segments = self._segments()

    def report(self) -> SceneReport:
        scores = self._scores
        if scores is None or not len(scores):
            return SceneReport(
                status="not_evaluated",
                reason=self.unanswered or "there are no frames",
                dominant_scene=None,
                scene_scores={},
                categories={},
            )
        prompts = self._policy.prompts
        means, best = scores.mean(axis=0), scores.argmax(axis=0)
        categories: dict[str, float] = {}
        for scene, column in zip(self._policy.scenes, self._by_scene(scores).T, strict=True):
            highest = round(float(column.max()), 4)
            categories[scene.category] = max(categories.get(scene.category, 0.0), highest)
        return SceneReport(
            status="evaluated",
            reason=None,
            dominant_scene=prompts[int(means.argmax())],
            scene_scores={
                prompt: SceneScore(
                    mean=round(float(means[index]), 4),
                    max=round(float(scores[best[index], index]), 4),
                    max_timestamp_ms=self._frames[int(best[index])][1].timestamp_ms,
                )
                for index, prompt in enumerate(prompts)
            },
            categories=categories,
        )

    def dominant(self) -> list[tuple[str, float] | None]:
        """Per frame, the prompt with the highest score."""
        if self._scores is None or not len(self._scores):
            return [None] * len(self._frames)
        prompts = self._policy.prompts
        best = self._scores.argmax(axis=1)
        highest = self._scores.max(axis=1).tolist()
        return [
            (prompts[int(index)], round(score, 4))
            for index, score in zip(best, highest, strict=True)
        ]

    def _score(
        self, chunks: Sequence[ObjectsObservations], texts: Sequence[TextEmbeddings]
    ) -> None:
        packs = {_clip_digest(item) for item in chunks}
        vectors = {
            text: vector
            for item in texts
            if packs == {_clip_digest(item)}
            for text, vector in zip(item.texts, item.embeddings, strict=False)
        }
        missing = [prompt for prompt in self._policy.prompts if prompt not in vectors]
        scale = next((item.clip_logit_scale for item in chunks), None)
        if missing or scale is None:
            self.unanswered = (
                f"the embeddings of {len(missing)} scene prompts have not been made with the "
                "CLIP pack that saw the frames"
            )
            self.unanswered_action = "screener policy use POLICY"
            return
        if not 0 < scale < _STEEPEST:
            raise InvalidObservations(f"CLIP's logit scale is {scale:g}")
        wanted = [vectors[prompt] for prompt in self._policy.prompts]
        try:
            size = len(decode_embedding(wanted[0]))
            prompts = _directions(decode_embeddings(wanted, size))
        except ValueError as cause:
            # They are no observations of the video: analysing it again would not mend them.
            self.unanswered = f"the embeddings of the scene prompts are not usable: {cause}"
            self.unanswered_action = "screener policy use POLICY"
            return
        try:
            images = _directions(
                decode_embeddings((frame.clip_embedding or "" for _, frame in self._frames), size)
            )
        except ValueError as cause:
            raise InvalidObservations(f"a CLIP embedding is not usable: {cause}") from cause
        logits = scale * (images @ prompts.T)
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        self._scores = exponentials / exponentials.sum(axis=1, keepdims=True)

    def _by_scene(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        position = 0
        columns = []
        for scene in self._policy.scenes:
            columns.append(scores[:, position : position + len(scene.prompts)].sum(axis=1))
            position += len(scene.prompts)
        scenes: NDArray[np.float32] = np.clip(np.stack(columns, axis=1), 0.0, 1.0)
        return scenes

    def _segments(self) -> list[Segment]:
        if self._scores is None or not len(self._scores):
            return []
        found: list[Segment] = []
        for scene, column in zip(self._policy.scenes, self._by_scene(self._scores).T, strict=True):
            hits: dict[str, list[Hit]] = defaultdict(list)
            for row in np.flatnonzero(column >= scene.threshold).tolist():
                frame = self._frames[row][1]
                hits[scene.category].append(
                    Hit(
                        start_ms=frame.span_start_ms,
                        end_ms=max(frame.span_end_ms, frame.span_start_ms),
                        timestamp_ms=frame.timestamp_ms,
                        label=scene.name,
                        confidence=float(column[row]),
                    )
                )
            persistence = scene.persistence or self._policy.persistence
            for category, category_hits in hits.items():
                found += segments(category_hits, category, Source.SCENES, persistence)
        return sorted(found, key=lambda item: (item.start_ms, item.category, item.labels))


def _clip_digest(observations: Observations) -> str | None:
    return next((pack.sha256 for pack in observations.packs if pack.role == CLIP), None)


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors at unit length, shape (N, D).

    Raises:
        ValueError: one of them has no direction.
    """
    lengths = np.sqrt(np.array([vector.dot(vector) for vector in vectors], dtype=np.float32))
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("it is not a direction")
    vectors /= lengths[:, np.newaxis]
    return vectors
