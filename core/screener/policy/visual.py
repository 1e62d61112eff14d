"""Moderation: NudeNet's regions and OpenNSFW2's score become findings about nudity."""

from collections import defaultdict
from collections.abc import Sequence

from screener import taxonomy
from screener.observations import ModerationFrame, ModerationObservations
from screener.policy.findings import Hit, segments
from screener.policy.material import ordered_frames
from screener.policy.model import Consensus, ModerationPolicy
from screener.sections import (
    LabelledBox,
    ModerationFrameDetail,
    ModerationLabel,
    ModerationSection,
    Segment,
)
from screener.taxonomy import Source

EXPLICIT = "explicit_nudity"
NSFW_LABEL = "nsfw"
NSFW_CATEGORY = "explicit_nudity.unspecified.nsfw_image"


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
        self._details: list[ModerationFrameDetail] = []
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
        nudenet = [item.nudenet_score for item in self._details if item.nudenet_score is not None]
        opennsfw2 = [
            item.opennsfw2_score for item in self._details if item.opennsfw2_score is not None
        ]
        strongest = sorted(self._labels, key=lambda item: -item.confidence)[: max(max_frames, 1)]
        labels = sorted(strongest, key=lambda item: (item.timestamp_ms, item.source, item.label))
        kept = self._details
        if len(kept) > max_frames:
            kept = [item for item in kept if item.flagged or item.disagreement or item.detections]
        return ModerationSection(
            flagged=flagged,
            consensus=self._policy.consensus.value,
            max_nudenet_score=max(nudenet, default=None),
            max_opennsfw2_score=max(opennsfw2, default=None),
            flagged_frames=[item.frame for item in self._details if item.flagged],
            disagreement_frames=[item.frame for item in self._details if item.disagreement],
            labels=labels,
            labels_omitted=len(self._labels) - len(labels),
            segments=self.segments,
            per_frame=kept,
            per_frame_omitted=len(self._details) - len(kept),
        )

    def _judge_frame(self, name: str, frame: ModerationFrame) -> None:
        thresholds = self._policy.nudenet_thresholds
        regions = [
            (item, category)
            for item in frame.detections
            if item.score >= thresholds.get(item.label.upper(), 2.0)
            and (category := taxonomy.load().of_label(Source.NUDENET, item.label)) is not None
        ]
        explicit = [category for _, category in regions if taxonomy.is_within(category, EXPLICIT)]
        unsafe = (
            frame.nsfw_probability is not None
            and frame.nsfw_probability >= self._policy.opennsfw2_threshold
        )
        confirmed = self._agreed(bool(explicit), unsafe)
        counts_nudenet = self._policy.consensus is not Consensus.OPENNSFW2
        counts_opennsfw2 = self._policy.consensus is not Consensus.NUDENET
        for detection, category in regions:
            is_explicit = taxonomy.is_within(category, EXPLICIT)
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
        positive = (bool(explicit) and counts_nudenet) or (unsafe and counts_opennsfw2)
        self._details.append(
            ModerationFrameDetail(
                frame=name,
                timestamp_ms=frame.timestamp_ms,
                nudenet_score=self._explicit_score(frame),
                opennsfw2_score=_rounded(frame.nsfw_probability),
                flagged=confirmed,
                disagreement=positive and not confirmed,
                detections=[
                    LabelledBox(label=item.label, confidence=round(item.score, 4), box=item.box)
                    for item, _ in regions
                ],
            )
        )

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

    def _explicit_score(self, frame: ModerationFrame) -> float | None:
        if not self.has_detector:
            return None
        scores = (
            item.score
            for item in frame.detections
            if taxonomy.is_within(
                taxonomy.load().of_label(Source.NUDENET, item.label) or "", EXPLICIT
            )
        )
        return round(max(scores, default=0.0), 4)

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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
