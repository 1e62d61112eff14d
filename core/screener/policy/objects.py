"""Objects: detected classes, weapons where a pack knows them, and scenes."""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from pydantic import TypeAdapter

from screener import taxonomy
from screener.observations import ObjectsFrame, ObjectsObservations, TextEmbeddings
from screener.policy.findings import Hit, segments
from screener.policy.material import ordered_frames
from screener.policy.model import ObjectsPolicy, Persistence, ScenesPolicy
from screener.policy.scenes import Scenes
from screener.sections import (
    NOT_EVALUATED,
    DetectedClass,
    ObjectsFrameDetail,
    ObjectsSection,
    Segment,
)
from screener.taxonomy import Source

WEAPONS = "violence.weapons"
_DETAILS = TypeAdapter(list[ObjectsFrameDetail])
"""One call for all frames is several times faster than making each model by itself."""


class Objects:
    """Judges the object observations of one video.

    Raises:
        InvalidObservations: a CLIP embedding is not readable.
    """

    def __init__(
        self,
        chunks: Sequence[ObjectsObservations],
        policy: ObjectsPolicy,
        scenes: ScenesPolicy,
        texts: Sequence[TextEmbeddings],
    ) -> None:
        self._policy = policy
        self._frames = ordered_frames([(item.chunk, item.frames) for item in chunks])
        self.known_labels = _known_to_all(chunks)
        self.scenes = Scenes(self._frames, chunks, texts, scenes)
        self._seen: dict[str, list[tuple[float, ObjectsFrame]]] = defaultdict(list)
        """Per label the scores that are reported and their frames, in order of time."""
        self._floors: dict[str, float] = {}
        for _, frame in self._frames:
            for item in frame.objects:
                if item.score >= self._floor(item.label):
                    self._seen[item.label].append((item.score, frame))
        self.object_segments = self._segments()
        self.segments = sorted(
            [*self.object_segments, *self.scenes.segments],
            key=lambda item: (item.start_ms, item.category, item.labels),
        )

    @property
    def knows_weapons(self) -> bool:
        """Whether a detector could have seen a weapon."""
        return any(
            taxonomy.is_within(self._category(label), WEAPONS) for label in self.known_labels
        )

    def section(self, *, max_frames: int) -> ObjectsSection:
        details = self._details()
        kept = details
        if len(kept) > max_frames:
            flagged = {label for item in self.object_segments for label in item.labels}
            kept = [
                item for item in kept if any(box["label"] in flagged for box in item["objects"])
            ]
        classes = sorted(
            (self._class_detail(label, seen) for label, seen in self._seen.items()),
            key=lambda item: (-item.frames, item.label),
        )
        weapon_seen = any(
            taxonomy.is_within(segment.category, WEAPONS) for segment in self.object_segments
        )
        return ObjectsSection(
            detected_classes=[item.label for item in classes],
            class_details=classes,
            weapon_detected=weapon_seen if self.knows_weapons else NOT_EVALUATED,
            scene_classifications=self.scenes.report(),
            segments=self.segments,
            per_frame=_DETAILS.validate_python(kept),
            per_frame_omitted=len(details) - len(kept),
        )

    def _category(self, label: str) -> str:
        configured = self._policy.classes.get(label)
        if configured is not None and configured.category is not None:
            return configured.category
        return taxonomy.load().of_label(Source.OBJECTS, label) or taxonomy.UNMAPPED_OBJECT

    def _rule_for(self, label: str) -> tuple[float, Persistence] | None:
        configured = self._policy.classes.get(label)
        if configured is not None:
            return configured.threshold, configured.persistence or self._policy.persistence
        if taxonomy.is_within(self._category(label), WEAPONS):
            return self._policy.weapon_threshold, self._policy.persistence
        return None

    def _floor(self, label: str) -> float:
        """From which score a label is reported: a threshold below `min_confidence` holds, too."""
        floor = self._floors.get(label)
        if floor is None:
            rule = self._rule_for(label)
            minimum = self._policy.min_confidence
            floor = self._floors[label] = minimum if rule is None else min(minimum, rule[0])
        return floor

    def _segments(self) -> list[Segment]:
        found: list[Segment] = []
        for label, seen in sorted(self._seen.items()):
            rule = self._rule_for(label)
            if rule is None:
                continue
            threshold, persistence = rule
            strong = [
                Hit(
                    start_ms=frame.span_start_ms,
                    end_ms=max(frame.span_end_ms, frame.span_start_ms),
                    timestamp_ms=frame.timestamp_ms,
                    label=label,
                    confidence=score,
                )
                for score, frame in seen
                if score >= threshold
            ]
            found += segments(strong, self._category(label), Source.OBJECTS, persistence)
        return found

    def _class_detail(self, label: str, seen: list[tuple[float, ObjectsFrame]]) -> DetectedClass:
        # In order of time, and `max` gives the first of equals: the earliest of the best.
        confidence, frame = max(seen, key=itemgetter(0))
        return DetectedClass(
            label=label,
            category=self._category(label),
            frames=len({frame.timestamp_ms for _, frame in seen}),
            confidence=round(confidence, 4),
            timestamp_ms=frame.timestamp_ms,
        )

    def _details(self) -> list[dict[str, Any]]:
        """Per frame the fields of its `ObjectsFrameDetail`."""
        return [
            {
                "frame": name,
                "timestamp_ms": frame.timestamp_ms,
                "objects": [
                    {"label": item.label, "confidence": round(item.score, 4), "box": item.box}
                    for item in frame.objects
                    if item.score >= self._floor(item.label)
                ],
                "scene": scene[0] if scene else None,
                "scene_score": min(1.0, scene[1]) if scene else None,
            }
            for (name, frame), scene in zip(self._frames, self.scenes.dominant(), strict=True)
        ]


def _known_to_all(chunks: Sequence[ObjectsObservations]) -> frozenset[str]:
    """Labels that every chunk's detector knows: what one of them cannot see is not answered."""
    known = [frozenset(item.detector_labels) for item in chunks]
    return frozenset.intersection(*known) if known else frozenset()
