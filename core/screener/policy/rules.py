"""Rules: findings and open questions become reasons, and the gravest reason the decision.

Fail closed: what could not be asked asks for review, and an uncertain finding never rejects.
Adding findings can only add reasons or make them graver.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from screener import taxonomy
from screener.document import Decision, NotEvaluated, Reason
from screener.observations import Analyzer
from screener.policy.findings import covered_ms
from screener.policy.model import Policy, Rule
from screener.sections import Certainty, Segment
from screener.taxonomy import Source


@dataclass(frozen=True)
class Question:
    """Something that the policy wants to know, and whether it could be asked."""

    name: str
    source: Source
    analysis: Analyzer
    categories: frozenset[str]
    unanswered: str | None = None
    """Why nothing could answer it; None when something did, or there was nothing to ask about."""
    action: str | None = None

    def concerns(self, rule: Rule) -> bool:
        if rule.sources is not None and self.source not in rule.sources:
            return False
        return any(
            taxonomy.is_within(category, rule.category)
            or taxonomy.is_within(rule.category, category)
            for category in self.categories
        )


@dataclass(frozen=True)
class Ruling:
    """What the rules say about one video."""

    reasons: list[Reason]
    """Strongest first."""
    sources: frozenset[Source]
    """Where confirmed findings are from to which a rule with consequences applies."""

    @property
    def decision(self) -> Decision:
        return max(
            (reason.decision for reason in self.reasons),
            key=lambda decision: decision.gravity,
            default=Decision.APPROVE,
        )


def rule_on(
    policy: Policy,
    found: Sequence[Segment],
    questions: Sequence[Question],
    other_reasons: Iterable[Reason] = (),
) -> Ruling:
    """Ask every rule.

    Args:
        policy: the rules.
        found: segments of all sources.
        questions: everything that the policy's sections want to know.
        other_reasons: what else speaks against approval, such as missing analyses.
    """
    ranked: list[tuple[int, Reason]] = [(len(policy.rules), reason) for reason in other_reasons]
    sources: set[Source] = set()
    open_questions: dict[str, tuple[int, Reason]] = {}
    for rank, rule in enumerate(policy.rules):
        matching = [segment for segment in found if _matches(rule, segment)]
        ranked += [(rank, reason) for reason in _reasons(rule, matching)]
        if rule.decision is not Decision.APPROVE and _met(rule, _confirmed(matching)):
            sources |= {segment.source for segment in _confirmed(matching)}
        if rule.if_not_evaluated == "review" and rule.decision is not Decision.APPROVE:
            for reason in _unanswered(rule, questions):
                open_questions.setdefault(reason.detail, (rank, reason))
    ranked += open_questions.values()
    ranked.sort(key=_strength)
    return Ruling(
        reasons=[reason for _, reason in ranked],
        sources=frozenset(sources),
    )


def not_evaluated(questions: Iterable[Question]) -> list[NotEvaluated]:
    """The document's list of questions that nothing could answer."""
    return [
        NotEvaluated(
            question=question.name,
            analysis=question.analysis,
            reason=question.unanswered,
            action=question.action,
        )
        for question in questions
        if question.unanswered is not None
    ]


def _matches(rule: Rule, segment: Segment) -> bool:
    return (
        taxonomy.is_within(segment.category, rule.category)
        and (rule.sources is None or segment.source in rule.sources)
        and segment.confidence >= rule.min_confidence
    )


def _confirmed(found: Iterable[Segment]) -> list[Segment]:
    return [segment for segment in found if segment.certainty is Certainty.CONFIRMED]


def _met(rule: Rule, found: Sequence[Segment]) -> bool:
    return bool(found) and covered_ms(found) >= rule.min_total_ms


def _reasons(rule: Rule, matching: Sequence[Segment]) -> list[Reason]:
    """One reason per category: certain findings decide what the rule says, uncertain ones at
    most review."""
    certain = _confirmed(matching)
    reasons = []
    if _met(rule, certain):
        reasons += [_reason("rule", rule.decision, part) for part in _by_category(certain)]
    elif _met(rule, matching):
        capped = min(rule.decision, Decision.REVIEW, key=lambda decision: decision.gravity)
        code = "uncertain" if len(certain) < len(matching) else "rule"
        reasons += [_reason(code, capped, part) for part in _by_category(matching)]
    return reasons


def _by_category(found: Iterable[Segment]) -> list[list[Segment]]:
    parts: dict[tuple[str, Source], list[Segment]] = defaultdict(list)
    for segment in found:
        parts[segment.category, segment.source].append(segment)
    return [parts[key] for key in sorted(parts)]


def _reason(code: str, decision: Decision, found: Sequence[Segment]) -> Reason:
    peak = max(found, key=lambda segment: (segment.confidence, -segment.start_ms))
    labels = sorted({label for segment in found for label in segment.labels})
    shown = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
    name = " > ".join(peak.taxonomy)
    segments = "1 segment" if len(found) == 1 else f"{len(found)} segments"
    doubt = " (uncertain)" if code == "uncertain" else ""
    return Reason(
        code=code,
        decision=decision,
        category=peak.category,
        detail=f"{name}{doubt}: {shown} by {peak.source.value}, {segments}, "
        f"{covered_ms(found) / 1000:.1f} s in all",
        start_ms=peak.start_ms,
        end_ms=peak.end_ms,
        confidence=peak.confidence,
    )


def _unanswered(rule: Rule, questions: Sequence[Question]) -> list[Reason]:
    concerned = [question for question in questions if question.concerns(rule)]
    if not concerned:
        name = " > ".join(taxonomy.load().names(rule.category))
        return [
            Reason(
                code="not_evaluated",
                decision=Decision.REVIEW,
                category=rule.category,
                detail=f"{name}: not evaluated (nothing in the policy can find it), and without an "
                "answer this policy does not approve",
            )
        ]
    return [
        Reason(
            code="not_evaluated",
            decision=Decision.REVIEW,
            category=rule.category,
            detail=f"{question.name}: not evaluated ({question.unanswered}), and without an answer "
            "this policy does not approve",
        )
        for question in concerned
        if question.unanswered is not None
    ]


def _strength(ranked: tuple[int, Reason]) -> tuple[int, bool, int, float, int, str]:
    rank, reason = ranked
    return (
        -reason.decision.gravity,
        reason.code != "rule",
        rank,
        -(reason.confidence or 0.0),
        reason.start_ms or 0,
        reason.detail,
    )
