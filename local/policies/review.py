"""What a policy means, what in it cannot work, and what differs between two."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from screener import taxonomy
from screener.document import Decision
from screener.policy.model import Consensus, Policy, Rule
from screener.taxonomy import Source

NUDENET_USELESS_FROM = 0.85
"""NudeNet 320n finds 0.24 % of unsafe images at this threshold (docs/policy.md)."""


class Answer(NamedTuple):
    """What can make a finding of a category under a policy."""

    source: Source
    category: str
    condition: str


class Difference(NamedTuple):
    """One value that two policies do not share; None where a policy does not have it."""

    path: str
    old: Any
    new: Any


def answers(policy: Policy) -> list[Answer]:
    """Everything that the policy's sections can find."""
    tree = taxonomy.load()
    found = []
    uses_nudenet = policy.moderation.consensus is not Consensus.OPENNSFW2
    for label, threshold in policy.moderation.nudenet_thresholds.items():
        category = tree.of_label(Source.NUDENET, label)
        explicit = category is not None and taxonomy.is_within(category, "explicit_nudity")
        if category is not None and (uses_nudenet or not explicit):
            found.append(Answer(Source.NUDENET, category, f"{label} from {threshold:g}"))
    if policy.moderation.consensus is not Consensus.NUDENET:
        found.append(
            Answer(
                Source.OPENNSFW2,
                "explicit_nudity.unspecified.nsfw_image",
                f"score from {policy.moderation.opennsfw2_threshold:g}",
            )
        )
    found.append(Answer(Source.KNOWN_FACES, "people.known", "similarity to an enrolled person"))
    for language, terms in policy.speech.terms.items():
        for category in dict.fromkeys(term.category for term in terms):
            count = sum(term.category == category for term in terms)
            counted = f"{count} term{'s' if count > 1 else ''} ({language})"
            found.append(
                Answer(Source.TERMS, category, f"{counted} for {tree.names(category)[-1]}")
            )
    for label, settings in policy.objects.classes.items():
        category = settings.category or tree.of_label(Source.OBJECTS, label)
        found.append(
            Answer(
                Source.OBJECTS,
                category or taxonomy.UNMAPPED_OBJECT,
                f"{label} from {settings.threshold:g}",
            )
        )
    found.append(
        Answer(
            Source.OBJECTS,
            "violence.weapons",
            f"a weapon class from {policy.objects.weapon_threshold:g}, with a pack that has one",
        )
    )
    for scene in policy.scenes.scenes:
        found.append(
            Answer(Source.SCENES, scene.category, f"scene {scene.name} from {scene.threshold:g}")
        )
    return found


def answers_of(rule: Rule, policy: Policy) -> list[Answer]:
    """What can make findings that a rule is about."""
    return [
        answer
        for answer in answers(policy)
        if (rule.sources is None or answer.source in rule.sources)
        and (
            taxonomy.is_within(answer.category, rule.category)
            or taxonomy.is_within(rule.category, answer.category)
        )
    ]


def warnings(policy: Policy) -> list[str]:
    """What is allowed but hardly meant."""
    found = []
    for number, rule in enumerate(policy.rules, 1):
        if not answers_of(rule, policy):
            found.append(
                f"rule {number} ({rule.category}): nothing in this policy can find it, so every "
                f"video goes to review (or is ignored: if_not_evaluated is {rule.if_not_evaluated})"
            )
        if rule.decision is Decision.REJECT and rule.sources == [Source.SCENES]:
            found.append(
                f"rule {number} ({rule.category}): rejects on a scene prompt alone; measure it "
                "with `screener evaluate` first"
            )
    for answer in answers(policy):
        # An empty stack has no index; the question is open, not forgotten.
        covered = any(answer in answers_of(rule, policy) for rule in policy.rules)
        if not covered and answer.source is not Source.KNOWN_FACES:
            found.append(f"{answer.condition} ({answer.category}): found, but no rule is about it")
    for label, threshold in policy.moderation.nudenet_thresholds.items():
        if threshold >= NUDENET_USELESS_FROM:
            found.append(
                f"moderation.nudenet_thresholds.{label}: at {threshold:g} NudeNet finds almost "
                "nothing (0.24 % of unsafe images at 0.85)"
            )
    if not policy.required_analyses:
        found.append("required_analyses is empty: a video may be approved without any analysis")
    return found


def differences(old: Policy, new: Policy) -> list[Difference]:
    """Every value that differs, in order of the file. Lists of things with names (terms, scenes)
    are compared by name, so that an insertion is one difference."""
    before = dict(_flat(old.model_dump(mode="json")))
    after = dict(_flat(new.model_dump(mode="json")))
    return [
        Difference(path, before.get(path), after.get(path))
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path)
    ]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, 1):
            yield from _flat(item, f"{path}[{_name(item) or number}]")
    else:
        yield path, value


def _name(item: Mapping[str, Any]) -> str | None:
    name = item.get("term") or item.get("name")
    if name is None and "decision" in item:
        sources = item.get("sources")
        name = item["category"] + (f" by {'+'.join(sources)}" if sources else "")
    return None if name is None else str(name)
