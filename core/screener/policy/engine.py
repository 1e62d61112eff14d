"""The judge: observations and a policy in, verdict and document sections out. Pure, on CPU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from screener import taxonomy
from screener.document import (
    AnalysisState,
    Decision,
    NotEvaluated,
    PolicyReference,
    Reason,
    Verdict,
)
from screener.errors import InvalidObservations
from screener.messages import AnalysisError
from screener.observations import Analyzer
from screener.policy.faces import KNOWN_PERSON, Faces
from screener.policy.known_faces import InvalidKnownFaces, KnownFaces
from screener.policy.material import AnalysisMaterial, Material
from screener.policy.model import Consensus, Policy
from screener.policy.objects import WEAPONS, Objects
from screener.policy.rules import Question, not_evaluated, rule_on
from screener.policy.speech import Speech
from screener.policy.visual import EXPLICIT, NSFW_CATEGORY, Moderation
from screener.sections import (
    FacesSection,
    ModerationSection,
    ObjectsSection,
    Segment,
    TranscriptionSection,
)
from screener.taxonomy import Source

_T = TypeVar("_T")

KNOWN = AnalysisState.COMPLETE, AnalysisState.SKIPPED
"""An analysis in one of these has said all that there is to say."""


@dataclass(frozen=True)
class Judgement:
    """What the policy makes of one video."""

    verdict: Verdict
    analyses: Mapping[Analyzer, AnalysisMaterial]
    """As given, except that an analysis with unusable observations has failed."""
    not_evaluated: list[NotEvaluated]
    moderation: ModerationSection | None
    faces: FacesSection | None
    transcription: TranscriptionSection | None
    objects: ObjectsSection | None

    @property
    def complete(self) -> bool:
        return all(item.state in KNOWN for item in self.analyses.values())


def judge(
    material: Material,
    policy: Policy,
    known: KnownFaces | InvalidKnownFaces | None,
    *,
    details: bool = True,
) -> Judgement:
    """Judge one video.

    Args:
        material: observations and how each analysis went.
        policy: thresholds, terms, prompts and rules.
        known: index of known people; None without one; the error when it is broken.
        details: also make the document's sections; without them only the verdict is whole.
    """
    analyses = dict(material.analyses)

    def attempt(analyzer: Analyzer, make: Callable[[], _T]) -> _T | None:
        state = analyses[analyzer]
        if state.state is not AnalysisState.COMPLETE:
            return None
        error = AnalysisError(type="NoObservations", message="the analysis left no observations")
        unusable = state.unusable_keys
        if state.observations:
            try:
                return make()
            except InvalidObservations as cause:
                error = AnalysisError(type=type(cause).__name__, message=str(cause))
                unusable = state.observation_keys
        analyses[analyzer] = replace(
            state, state=AnalysisState.FAILED, error=error, unusable_keys=unusable
        )
        return None

    moderation = attempt(
        Analyzer.MODERATION, lambda: Moderation(material.moderation, policy.moderation)
    )
    faces = attempt(Analyzer.FACES, lambda: Faces(material.faces, policy.faces, known))
    speech = attempt(
        Analyzer.TRANSCRIPTION,
        lambda: Speech(
            material.transcription,
            policy.speech,
            {extracted.chunk: extracted.audio_start_ms for extracted in material.media},
        ),
    )
    objects = attempt(
        Analyzer.OBJECTS,
        lambda: Objects(material.objects, policy.objects, policy.scenes, material.scene_texts),
    )
    found: list[Segment] = []
    for part in (moderation, faces, speech, objects):
        found += part.segments if part is not None else []
    questions = [
        *_moderation_questions(policy, moderation),
        *_faces_questions(policy, faces),
        *_speech_questions(policy, speech),
        *_objects_questions(policy, objects),
    ]
    missing = _missing(policy, analyses) + _lost(policy, material)
    ruling = rule_on(policy, found, questions, missing)
    limit = policy.max_per_frame_entries
    return Judgement(
        verdict=Verdict(
            decision=ruling.decision,
            reasons=ruling.reasons,
            policy=PolicyReference(name=policy.name, version=policy.version, sha256=policy.sha256),
        ),
        analyses=analyses,
        not_evaluated=not_evaluated(questions),
        moderation=moderation.section(
            flagged=bool(ruling.sources & {Source.NUDENET, Source.OPENNSFW2}), max_frames=limit
        )
        if moderation and details
        else None,
        faces=faces.section(max_frames=limit) if faces and details else None,
        transcription=speech.section() if speech and details else None,
        objects=objects.section(max_frames=limit) if objects and details else None,
    )


def _missing(policy: Policy, analyses: Mapping[Analyzer, AnalysisMaterial]) -> list[Reason]:
    reasons = []
    for analyzer in policy.required_analyses:
        item = analyses[analyzer]
        if item.state in KNOWN:
            continue
        why = item.error.message if item.error else item.reason or "no observations"
        reasons.append(
            Reason(
                code="analysis_missing",
                decision=Decision.REVIEW,
                category=None,
                detail=f"{analyzer.value} is {item.state.value}: {why}",
            )
        )
    return reasons


def _lost(policy: Policy, material: Material) -> list[Reason]:
    if not material.losses or policy.on_media_loss == "ignore":
        return []
    lost = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in material.losses.items())
    return [
        Reason(
            code="media_lost",
            decision=Decision.REVIEW,
            category=None,
            detail=f"parts of the video could not be read: {lost}",
        )
    ]


def _moderation_questions(policy: Policy, moderation: Moderation | None) -> list[Question]:
    tree = taxonomy.load()
    labelled = {
        path
        for label in policy.moderation.nudenet_thresholds
        if (path := tree.of_label(Source.NUDENET, label)) is not None
    }
    explicit = {path for path in labelled if taxonomy.is_within(path, EXPLICIT)}
    if policy.moderation.consensus is Consensus.OPENNSFW2:
        labelled -= explicit
    lacks_detector = moderation is not None and not moderation.has_detector
    lacks_classifier = moderation is not None and not moderation.has_classifier
    questions = []
    if labelled:
        questions.append(
            Question(
                name="nudity regions (NudeNet)",
                source=Source.NUDENET,
                analysis=Analyzer.MODERATION,
                categories=frozenset(labelled),
                unanswered="no NudeNet pack" if lacks_detector else None,
                action="screener packs pull nudenet-320n" if lacks_detector else None,
            )
        )
    if policy.moderation.consensus is not Consensus.NUDENET:
        questions.append(
            Question(
                name="explicit image (OpenNSFW2)",
                source=Source.OPENNSFW2,
                analysis=Analyzer.MODERATION,
                categories=frozenset({NSFW_CATEGORY}),
                unanswered="no OpenNSFW2 pack" if lacks_classifier else None,
                action="screener packs pull opennsfw2" if lacks_classifier else None,
            )
        )
    return questions


def _faces_questions(policy: Policy, faces: Faces | None) -> list[Question]:
    unanswered = action = None
    if faces is not None:
        report = faces.known_report
        if report.status == "not_evaluated":
            unanswered, action = report.reason, "screener faces enroll"
        elif report.status == "not_configured" and policy.faces.known_faces == "required":
            unanswered, action = "this stack has no index of known faces", "screener faces enroll"
    return [
        Question(
            name="known faces",
            source=Source.KNOWN_FACES,
            analysis=Analyzer.FACES,
            categories=frozenset({KNOWN_PERSON}),
            unanswered=unanswered,
            action=action,
        )
    ]


def _speech_questions(policy: Policy, speech: Speech | None) -> list[Question]:
    categories = {term.category for terms in policy.speech.terms.values() for term in terms}
    if not categories:
        return []
    return [
        Question(
            name="spoken terms",
            source=Source.TERMS,
            analysis=Analyzer.TRANSCRIPTION,
            categories=frozenset(categories),
            unanswered=speech.unanswered if speech else None,
            action="add terms for the language to the policy"
            if speech and speech.unanswered
            else None,
        )
    ]


def _objects_questions(policy: Policy, objects: Objects | None) -> list[Question]:
    weapons = frozenset(
        path for path in taxonomy.load().categories if taxonomy.is_within(path, WEAPONS)
    )
    blind = objects is not None and not objects.knows_weapons
    questions = [
        Question(
            name="weapons",
            source=Source.OBJECTS,
            analysis=Analyzer.OBJECTS,
            categories=weapons,
            unanswered="no object pack knows a weapon class" if blind else None,
            action="screener packs build objects --weights YOUR_WEIGHTS.pt" if blind else None,
        )
    ]
    tree = taxonomy.load()
    asked = {
        label: settings.category or tree.of_label(Source.OBJECTS, label) or taxonomy.UNMAPPED_OBJECT
        for label, settings in policy.objects.classes.items()
    }
    if asked:
        unknown = sorted(set(asked) - objects.known_labels) if objects else []
        questions.append(
            Question(
                name="object classes",
                source=Source.OBJECTS,
                analysis=Analyzer.OBJECTS,
                categories=frozenset(
                    path for label, path in asked.items() if not unknown or label in unknown
                ),
                unanswered=f"no object pack knows {', '.join(unknown)}" if unknown else None,
                action="screener packs pull yolov8m" if unknown else None,
            )
        )
    if policy.scenes.scenes:
        open_reason = objects.scenes.unanswered if objects else None
        questions.append(
            Question(
                name="scenes",
                source=Source.SCENES,
                analysis=Analyzer.OBJECTS,
                categories=frozenset(scene.category for scene in policy.scenes.scenes),
                unanswered=open_reason,
                action=objects.scenes.unanswered_action if objects else None,
            )
        )
    return questions
