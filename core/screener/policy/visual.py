"""Moderation: NudeNet's regions and OpenNSFW2's score become findings about nudity."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from screener import taxonomy
from screener.observations import Detection, ModerationFrame, ModerationObservations
from screener.policy.findings import Hit, segments
from screener.policy.material import ordered_frames
from screener.policy.model import Consensus, ModerationPolicy
from screener.sections import (
    ModerationFrameDetail,
    ModerationLabel,
    ModerationSection,
    Segment,
)
from screener.taxonomy import Source

EXPLICIT = "explicit_nudity"
NSFW_LABEL = "nsfw"
NSFW_CATEGORY = "explicit_nudity.unspecified.nsfw_image"
_NEVER = 2.0
_DETAILS = TypeAdapter(list[ModerationFrameDetail])
"""One call for all frames is several times faster than making each model by itself."""


class _Label(NamedTuple):
    """What the policy and the taxonomy say about one of NudeNet's labels."""

    threshold: float
    category: str | None
    explicit: bool


class _Judged(NamedTuple):
    """One frame."""

    name: str
    frame: ModerationFrame
    explicit_score: float | None
    confirmed: bool
    disagreement: bool
    regions: Sequence[Detection]
    """Those above their thresholds."""


class Moderation:
    """Judges the moderation observations of one video.

    Explicit nudity is a question to two models, and the consensus says when their answers
    make a finding: a hit that the consensus demands twice and that came once is uncertain.
    Other categories are NudeNet's alone.
    """

    def __init__(self, chunks: Sequence[ModerationObservations], policy: ModerationPolicy) -> None:
        self._policy = policy
        self._frames = ordered_frames([(item.chunk, item.frames) for item in chunks])
        self.has_detector = all(item.detector_labels for item in chunks)
        self.has_classifier = all(frame.nsfw_probability is not None for _, frame in self._frames)
        self._hits: dict[tuple[Source, str], list[Hit]] = defaultdict(list)
        self._labels: list[ModerationLabel] = []
        self._judged: list[_Judged] = []
        self._known: dict[str, _Label] = {}
        for name, frame in self._frames:
            self._judge_frame(name, frame)
        self.segments: list[Segment] = [
            segment
            for (source, category), hits in self._hits.items()
            for segment in segments(hits, category, source, policy.persistence)
        ]
        self.segments.sort(key=lambda item: (item.start_ms, item.category, item.source))

    def section(self, *, flagged: bool, max_frames: int) -> ModerationSection:
        """The document's section; `flagged` is the rules' answer."""
        nudenet = [item.explicit_score for item in self._judged if item.explicit_score is not None]
        opennsfw2 = [
            frame.nsfw_probability
            for _, frame in self._frames
            if frame.nsfw_probability is not None
        ]
        strongest = sorted(self._labels, key=lambda item: -item.confidence)[: max(max_frames, 1)]
        labels = sorted(strongest, key=lambda item: (item.timestamp_ms, item.source, item.label))
        kept = self._judged
        if len(kept) > max_frames:
            kept = [item for item in kept if item.confirmed or item.disagreement or item.regions]
        return ModerationSection(
            flagged=flagged,
            consensus=self._policy.consensus.value,
            max_nudenet_score=_rounded(max(nudenet, default=None)),
            max_opennsfw2_score=_rounded(max(opennsfw2, default=None)),
            flagged_frames=[item.name for item in self._judged if item.confirmed],
            disagreement_frames=[item.name for item in self._judged if item.disagreement],
            labels=labels,
            labels_omitted=len(self._labels) - len(labels),
            segments=self.segments,
            per_frame=_DETAILS.validate_python([_detail(item) for item in kept]),
            per_frame_omitted=len(self._judged) - len(kept),
        )

    def _judge_frame(self, name: str, frame: ModerationFrame) -> None:
        regions: list[tuple[Detection, str, bool]] = []
        explicit_score = 0.0
        for item in frame.detections:
            label = self._label(item.label)
            if label.explicit:
                explicit_score = max(explicit_score, item.score)
            if item.score >= label.threshold and label.category is not None:
                regions.append((item, label.category, label.explicit))
        explicit = any(is_explicit for _, _, is_explicit in regions)
        unsafe = (
            frame.nsfw_probability is not None
            and frame.nsfw_probability >= self._policy.opennsfw2_threshold
        )
        confirmed = self._agreed(explicit, unsafe)
        counts_nudenet = self._policy.consensus is not Consensus.OPENNSFW2
        counts_opennsfw2 = self._policy.consensus is not Consensus.NUDENET
        for detection, category, is_explicit in regions:
            if is_explicit and not counts_nudenet:
                continue
            self._add(
                frame,
                ModerationLabel(
                    label=detection.label,
                    parent=taxonomy.load().names(category)[-2],
                    category=category,
                    confidence=round(detection.score, 4),
                    timestamp_ms=frame.timestamp_ms,
                    frame=name,
                    source=Source.NUDENET,
                    box=detection.box,
                ),
                confirmed=confirmed or not is_explicit,
            )
        if unsafe and counts_opennsfw2 and frame.nsfw_probability is not None:
            self._add(
                frame,
                ModerationLabel(
                    label=NSFW_LABEL,
                    parent=taxonomy.load().names(NSFW_CATEGORY)[-2],
                    category=NSFW_CATEGORY,
                    confidence=round(frame.nsfw_probability, 4),
                    timestamp_ms=frame.timestamp_ms,
                    frame=name,
                    source=Source.OPENNSFW2,
                    box=None,
                ),
                confirmed=confirmed,
            )
        positive = (explicit and counts_nudenet) or (unsafe and counts_opennsfw2)
        self._judged.append(
            _Judged(
                name,
                frame,
                explicit_score if self.has_detector else None,
                confirmed,
                positive and not confirmed,
                [item for item, _, _ in regions],
            )
        )

    def _label(self, label: str) -> _Label:
        known = self._known.get(label)
        if known is None:
            category = taxonomy.load().of_label(Source.NUDENET, label)
            known = self._known[label] = _Label(
                self._policy.nudenet_thresholds.get(label.upper(), _NEVER),
                category,
                category is not None and taxonomy.is_within(category, EXPLICIT),
            )
        return known

    def _agreed(self, detector: bool, classifier: bool) -> bool:
        match self._policy.consensus:
            case Consensus.BOTH:
                return detector and classifier
            case Consensus.EITHER:
                return detector or classifier
            case Consensus.NUDENET:
                return detector
            case Consensus.OPENNSFW2:
                return classifier

    def _add(self, frame: ModerationFrame, label: ModerationLabel, *, confirmed: bool) -> None:
        self._labels.append(label)
        self._hits[label.source, label.category].append(
            Hit(
                start_ms=frame.span_start_ms,
                end_ms=max(frame.span_end_ms, frame.span_start_ms),
                timestamp_ms=frame.timestamp_ms,
                label=label.label,
                confidence=label.confidence,
                confirmed=confirmed,
            )
        )


def _detail(judged: _Judged) -> dict[str, Any]:
    """The fields of a `ModerationFrameDetail`."""
    return {
        "frame": judged.name,
        "timestamp_ms": judged.frame.timestamp_ms,
        "nudenet_score": _rounded(judged.explicit_score),
        "opennsfw2_score": _rounded(judged.frame.nsfw_probability),
        "flagged": judged.confirmed,
        "disagreement": judged.disagreement,
        "detections": [
            {"label": item.label, "confidence": round(item.score, 4), "box": item.box}
            for item in judged.regions
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
