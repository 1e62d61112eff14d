"""What must hold for every video: more evidence is never better, less is never cleaner."""

import dataclasses
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from screener.document import AnalysisState, Decision
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset
from screener.policy.material import AnalysisMaterial
from tests.observation_examples import (
    face,
    faces,
    material,
    moderation,
    objects,
    person_vector,
    transcription,
)
from tests.unit.screener.policy.test_faces import ANN, BOB, known

INDEX = known(ANN, BOB)
FRAMES = 6
SENTENCES = (
    "hello there",
    "i will kill you",
    "what the fuck",
    "f u c k this",
    "kill yourself",
    "he said nigger",
    "nice day",
)
LABELS = ("FEMALE_BREAST_EXPOSED", "MALE_GENITALIA_EXPOSED", "FEMALE_BREAST_COVERED", "FACE_MALE")
WEAPON_AWARE = ("person", "knife", "wine glass", "handgun")

scores = st.sampled_from([0.0, 0.1, 0.3, 0.55, 0.9])
visual_frame = st.tuples(scores, st.dictionaries(st.sampled_from(LABELS), scores, max_size=3))
object_frame = st.dictionaries(st.sampled_from(WEAPON_AWARE), scores, max_size=3)
face_frame = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.2])), max_size=2)
videos = st.fixed_dictionaries(
    {
        "visual": st.lists(visual_frame, min_size=FRAMES, max_size=FRAMES),
        "objects": st.lists(object_frame, min_size=FRAMES, max_size=FRAMES),
        "faces": st.lists(face_frame, min_size=FRAMES, max_size=FRAMES),
        "speech": st.lists(st.sampled_from(SENTENCES), max_size=3),
    }
)
presets = st.sampled_from(list(Preset))
# Most frames are quiet: a verdict changes with the first finding, and with the second.
QUIET = (0.0, {})
quiet_visual = st.lists(
    st.one_of(st.just(QUIET), st.just(QUIET), visual_frame), min_size=FRAMES, max_size=FRAMES
)


def build(video, order=None):
    parts = [
        moderation(video["visual"]),
        faces(
            [
                [
                    face(person_vector(who, noise, seed), left=0.1 + 0.2 * seed)
                    for seed, (who, noise) in enumerate(frame)
                ]
                for frame in video["faces"]
            ]
        ),
        transcription(" ".join(video["speech"])),
        objects(video["objects"], labels=WEAPON_AWARE),
    ]
    if order is not None:
        parts = [shuffled(part, order) for part in parts]
    return material(*parts, frame_count=FRAMES)


def shuffled(part, order):
    if hasattr(part, "frames"):
        frames = list(part.frames)
        order.shuffle(frames)
        return part.model_copy(update={"frames": frames})
    return part


def gravity(given_material, preset):
    verdict = judge(given_material, load_preset(preset), INDEX).verdict
    return verdict.decision.gravity


def more(video, extra):
    """The video with everything of `extra` seen and said as well."""
    return {
        "visual": [
            (
                max(old[0], new[0]),
                {
                    label: max(old[1].get(label, 0), new[1].get(label, 0))
                    for label in {**old[1], **new[1]}
                },
            )
            for old, new in zip(video["visual"], extra["visual"], strict=True)
        ],
        "objects": [
            {label: max(old.get(label, 0), new.get(label, 0)) for label in {**old, **new}}
            for old, new in zip(video["objects"], extra["objects"], strict=True)
        ],
        "faces": [
            old + [person for person in new if person not in old]
            for old, new in zip(video["faces"], extra["faces"], strict=True)
        ],
        "speech": video["speech"] + extra["speech"],
    }


@settings(max_examples=80, deadline=None)
@given(videos, videos, presets)
def test_more_evidence_never_turns_a_verdict_into_approval(video, extra, preset):
    before, after = gravity(build(video), preset), gravity(build(more(video, extra)), preset)
    if before > Decision.APPROVE.gravity:
        assert after > Decision.APPROVE.gravity


@settings(max_examples=60, deadline=None)
@given(videos, videos, presets)
def test_more_moderation_evidence_never_softens_a_verdict(video, extra, preset):
    grown = {**video, "visual": more(video, extra)["visual"]}
    assert gravity(build(grown), preset) >= gravity(build(video), preset)


@settings(max_examples=100, deadline=None)
@given(quiet_visual, st.integers(0, FRAMES - 1), visual_frame, presets)
@example([(0.9, {}), *[QUIET] * 5], 0, (0.9, {"FEMALE_BREAST_EXPOSED": 0.9}), Preset.STRICT)
@example([(0.9, {}), *[QUIET] * 5], 4, (0.9, {"MALE_GENITALIA_EXPOSED": 0.9}), Preset.STRICT)
def test_one_more_unsafe_frame_never_softens_a_verdict(visual, place, frame, preset):
    nothing = {"objects": [{}] * FRAMES, "faces": [[]] * FRAMES, "speech": []}
    extra = {**nothing, "visual": [QUIET] * FRAMES}
    extra["visual"][place] = frame
    video = {**nothing, "visual": visual}
    assert gravity(build(more(video, extra)), preset) >= gravity(build(video), preset)


@settings(max_examples=60, deadline=None)
@given(
    videos,
    presets,
    st.sampled_from(list(Analyzer)),
    st.sampled_from([AnalysisState.FAILED, AnalysisState.TIMED_OUT, AnalysisState.NOT_DEPLOYED]),
)
def test_a_missing_required_analysis_never_approves(video, preset, analyzer, state):
    whole = build(video)
    analyses = {**whole.analyses, analyzer: AnalysisMaterial(state=state)}
    judgement = judge(dataclasses.replace(whole, analyses=analyses), load_preset(preset), INDEX)
    assert judgement.verdict.decision is not Decision.APPROVE
    assert not judgement.complete


@settings(max_examples=60, deadline=None)
@given(videos, presets, st.integers(0, 2**32))
def test_the_order_of_observations_does_not_matter(video, preset, seed):
    straight = judge(build(video), load_preset(preset), INDEX)
    mixed = judge(build(video, random.Random(seed)), load_preset(preset), INDEX)
    assert mixed.verdict == straight.verdict
    assert mixed.moderation == straight.moderation
    assert mixed.faces == straight.faces
    assert mixed.objects == straight.objects


@settings(max_examples=60, deadline=None)
@given(videos)
def test_a_stricter_preset_is_never_more_lenient(video):
    decisions = [gravity(build(video), preset) for preset in Preset]
    strict, balanced, permissive = decisions
    assert strict >= balanced >= permissive


@settings(max_examples=60, deadline=None)
@given(videos, presets)
def test_reasons_agree_with_the_decision(video, preset):
    verdict = judge(build(video), load_preset(preset), INDEX).verdict
    gravities = [reason.decision.gravity for reason in verdict.reasons]
    assert gravities == sorted(gravities, reverse=True)
    assert verdict.decision.gravity == max(gravities, default=0)
