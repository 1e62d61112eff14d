"""Objects: detected classes, weapons where a pack knows them, and scenes."""

from collections import defaultdict
from collections.abc import Sequence

from screener import taxonomy
from screener.observations import ObjectsFrame, ObjectsObservations, TextEmbeddings
from screener.policy.findings import Hit, segments
from screener.policy.material import ordered_frames
from screener.policy.model import ObjectsPolicy, Persistence, ScenesPolicy
from screener.policy.scenes import Scenes
from screener.sections import (
    NOT_EVALUATED,
    DetectedClass,
    LabelledBox,
    ObjectsFrameDetail,
    ObjectsSection,
    Segment,
)
from screener.taxonomy import Source

WEAPONS = "violence.weapons"


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
        self._hits: dict[str, list[Hit]] = defaultdict(list)
        for _, frame in self._frames:
            self._collect(frame)
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
            kept = [item for item in kept if any(box.label in flagged for box in item.objects)]
        classes = sorted(
            (self._class_detail(label, hits) for label, hits in self._hits.items()),
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
            per_frame=kept,
            per_frame_omitted=len(details) - len(kept),
        )

    def _collect(self, frame: ObjectsFrame) -> None:
        for detection in frame.objects:
            if detection.score >= self._policy.min_confidence:
                self._hits[detection.label].append(
                    Hit(
                        start_ms=frame.span_start_ms,
                        end_ms=max(frame.span_end_ms, frame.span_start_ms),
                        timestamp_ms=frame.timestamp_ms,
                        label=detection.label,
                        confidence=detection.score,
                    )
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

    def _segments(self) -> list[Segment]:
        found: list[Segment] = []
        for label, hits in sorted(self._hits.items()):
            rule = self._rule_for(label)
            if rule is None:
                continue
            threshold, persistence = rule
            strong = [hit for hit in hits if hit.confidence >= threshold]
            found += segments(strong, self._category(label), Source.OBJECTS, persistence)
        return found

    def _class_detail(self, label: str, hits: list[Hit]) -> DetectedClass:
        peak = max(hits, key=lambda hit: (hit.confidence, -hit.timestamp_ms))
        return DetectedClass(
            label=label,
            category=self._category(label),
            frames=len({hit.timestamp_ms for hit in hits}),
            confidence=round(peak.confidence, 4),
            timestamp_ms=peak.timestamp_ms,
        )

    def _details(self) -> list[ObjectsFrameDetail]:
        return [
            ObjectsFrameDetail(
                frame=name,
                timestamp_ms=frame.timestamp_ms,
                objects=[
                    LabelledBox(label=item.label, confidence=round(item.score, 4), box=item.box)
                    for item in frame.objects
                    if item.score >= self._policy.min_confidence
                ],
                scene=scene[0] if scene else None,
                scene_score=min(1.0, scene[1]) if scene else None,
            )
            for (name, frame), scene in zip(self._frames, self.scenes.dominant(), strict=True)
        ]


def _known_to_all(chunks: Sequence[ObjectsObservations]) -> frozenset[str]:
    """Labels that every chunk's detector knows: what one of them cannot see is not answered."""
    known = [frozenset(item.detector_labels) for item in chunks]
    return frozenset.intersection(*known) if known else frozenset()
