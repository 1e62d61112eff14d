import pytest

from screener.document import AnalysisState, Decision
from screener.messages import AnalysisError
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.known_faces import InvalidKnownFaces
from screener.policy.loading import Preset, load_preset
from screener.policy.material import AnalysisMaterial
from screener.policy.model import Consensus, Rule
from screener.sections import Certainty
from tests.observation_examples import (
    DIMENSION,
    face,
    faces,
    material,
    moderation,
    objects,
    pack,
    person_vector,
    text_embeddings,
    transcription,
)

BALANCED = load_preset(Preset.BALANCED)
# Without CLIP, scenes are an open question; these tests are about everything else.
NO_SCENES = BALANCED.model_copy(
    update={
        "rules": [
            rule.model_copy(update={"if_not_evaluated": "ignore"})
            if rule.sources and "scenes" in rule.sources
            else rule
            for rule in BALANCED.rules
        ]
    }
)
UNSAFE = {"FEMALE_BREAST_EXPOSED": 0.8}


def decide(given, policy=NO_SCENES, known=None):
    return judge(given, policy, known).verdict


def codes(verdict):
    return [reason.code for reason in verdict.reasons]


def test_an_uneventful_video_is_approved():
    verdict = decide(material())
    assert verdict.decision is Decision.APPROVE
    assert verdict.reasons == []


def test_without_a_clip_pack_the_balanced_preset_asks_for_review_of_scenes():
    judgement = judge(material(), BALANCED, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert set(codes(judgement.verdict)) == {"not_evaluated"}
    assert "scenes" in {item.question for item in judgement.not_evaluated}
    assert judgement.objects.scene_classifications.status == "not_evaluated"


def test_two_models_that_agree_reject():
    judgement = judge(
        material(moderation([(0.01, {}), (0.9, UNSAFE), (0.02, {})])), NO_SCENES, None
    )
    assert judgement.verdict.decision is Decision.REJECT
    first = judgement.verdict.reasons[0]
    assert (first.code, first.start_ms, first.end_ms) == ("rule", 1_000, 2_000)
    assert judgement.moderation.flagged
    assert judgement.moderation.flagged_frames == ["frame_000001.jpg"]
    assert judgement.moderation.max_opennsfw2_score == 0.9
    assert judgement.moderation.max_nudenet_score == 0.8


@pytest.mark.parametrize("frame", [(0.9, {}), (0.1, UNSAFE)], ids=["opennsfw2", "nudenet"])
def test_a_single_opinion_is_reviewed_and_not_flagged(frame):
    judgement = judge(material(moderation([frame])), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert codes(judgement.verdict) == ["uncertain"]
    assert not judgement.moderation.flagged
    assert judgement.moderation.disagreement_frames == ["frame_000000.jpg"]
    assert judgement.moderation.segments[0].certainty is Certainty.UNCERTAIN


@pytest.mark.parametrize(
    ("consensus", "frame", "expected"),
    [
        ("either", (0.9, {}), Decision.REJECT),
        ("either", (0.1, UNSAFE), Decision.REJECT),
        ("nudenet", (0.9, {}), Decision.APPROVE),
        ("nudenet", (0.1, UNSAFE), Decision.REJECT),
        ("opennsfw2", (0.9, {}), Decision.REJECT),
        ("opennsfw2", (0.1, UNSAFE), Decision.APPROVE),
    ],
)
def test_consensus_is_a_choice_of_the_policy(consensus, frame, expected):
    chosen = NO_SCENES.moderation.model_copy(update={"consensus": Consensus(consensus)})
    policy = NO_SCENES.model_copy(update={"moderation": chosen})
    assert decide(material(moderation([frame])), policy).decision is expected


@pytest.mark.parametrize(
    "observations",
    [moderation([(None, {})] * 3), moderation([(0.1, {})] * 3, labels=[])],
    ids=["no classifier", "no detector"],
)
def test_an_absent_moderation_model_is_not_evaluated_and_reviewed(observations):
    judgement = judge(material(observations), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert codes(judgement.verdict) == ["not_evaluated"]


@pytest.mark.parametrize("analyzer", list(Analyzer))
@pytest.mark.parametrize(
    "state", [AnalysisState.FAILED, AnalysisState.TIMED_OUT, AnalysisState.NOT_DEPLOYED]
)
def test_a_missing_analysis_is_never_approved(analyzer, state):
    broken = AnalysisMaterial(state=state, error=AnalysisError(type="X", message="why it broke"))
    judgement = judge(material(missing={analyzer: broken}), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert not judgement.complete
    assert "why it broke" in judgement.verdict.reasons[0].detail
    assert getattr(judgement, analyzer.value) is None


def test_an_analysis_that_the_policy_does_not_require_may_be_missing():
    broken = AnalysisMaterial(state=AnalysisState.FAILED)
    policy = NO_SCENES.model_copy(update={"required_analyses": [Analyzer.MODERATION]})
    judgement = judge(material(missing={Analyzer.FACES: broken}), policy, None)
    assert judgement.verdict.decision is Decision.APPROVE
    assert not judgement.complete


def test_a_video_without_audio_is_complete():
    silent = AnalysisMaterial(state=AnalysisState.SKIPPED, reason="no audio")
    judgement = judge(material(missing={Analyzer.TRANSCRIPTION: silent}), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.APPROVE
    assert judgement.complete
    assert judgement.transcription is None


def test_a_complete_analysis_without_observations_has_failed():
    empty = AnalysisMaterial(state=AnalysisState.COMPLETE)
    judgement = judge(material(missing={Analyzer.MODERATION: empty}), NO_SCENES, None)
    assert judgement.analyses[Analyzer.MODERATION].state is AnalysisState.FAILED
    assert judgement.verdict.decision is Decision.REVIEW


def test_lost_parts_of_the_video_are_reviewed():
    verdict = decide(material(losses={"corrupt_frames": 37}))
    assert codes(verdict) == ["media_lost"]
    assert "37 corrupt frames" in verdict.reasons[0].detail


def test_threats_are_found_with_their_times():
    judgement = judge(material(transcription("so then I will kill you tonight")), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.REVIEW
    (term,) = judgement.transcription.flagged_terms
    assert (term.term, term.text) == ("i will kill you", "I will kill you")
    assert (term.start_ms, term.end_ms) == (800, 2_350)


def test_profanity_is_noted_and_does_not_stop_an_approval():
    verdict = decide(material(transcription("what the fuck")))
    assert verdict.decision is Decision.APPROVE
    assert [reason.decision for reason in verdict.reasons] == [Decision.APPROVE]


def test_speech_in_a_language_without_terms_is_not_evaluated():
    judgement = judge(material(transcription("hyvää päivää", language="fi")), NO_SCENES, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert any("fi" in item.reason for item in judgement.not_evaluated)


def test_weapons_are_not_evaluated_without_a_pack_that_knows_them():
    judgement = judge(material(objects([{"person": 0.9}] * 3)), NO_SCENES, None)
    assert judgement.objects.weapon_detected == "not_evaluated"
    assert judgement.objects.detected_classes == ["person"]
    assert "weapons" in {item.question for item in judgement.not_evaluated}


def test_a_pack_that_knows_weapons_answers_true_or_false():
    knows = ["person", "Handgun"]
    clean = judge(material(objects([{}] * 3, labels=knows)), NO_SCENES, None)
    armed = judge(material(objects([{"Handgun": 0.7}] * 3, labels=knows)), NO_SCENES, None)
    assert clean.objects.weapon_detected is False
    assert armed.objects.weapon_detected is True
    assert armed.verdict.decision is Decision.REVIEW


def test_a_threshold_below_what_is_reported_holds_all_the_same():
    chosen = NO_SCENES.objects.model_copy(update={"weapon_threshold": 0.1})
    assert chosen.weapon_threshold < chosen.min_confidence
    policy = NO_SCENES.model_copy(update={"objects": chosen})
    seen = objects([{"handgun": 0.2, "person": 0.2}] * 3, labels=["person", "handgun"])
    judgement = judge(material(seen), policy, None)
    assert judgement.verdict.decision is Decision.REVIEW
    assert judgement.objects.weapon_detected is True
    assert judgement.objects.detected_classes == ["handgun"]
    assert [box.label for box in judgement.objects.per_frame[0].objects] == ["handgun"]


def test_a_required_weapons_answer_stops_an_approval():
    rules = [Rule(category="violence.weapons", decision=Decision.REJECT)]
    policy = NO_SCENES.model_copy(update={"rules": rules})
    assert decide(material(), policy).decision is Decision.REVIEW


def test_a_rule_that_nothing_can_answer_is_reviewed():
    policy = NO_SCENES.model_copy(
        update={"rules": [Rule(category="hate.symbols", decision=Decision.REJECT)]}
    )
    verdict = decide(material(), policy)
    assert verdict.decision is Decision.REVIEW
    assert "nothing in the policy can find it" in verdict.reasons[0].detail


def test_scenes_are_scored_from_cached_embeddings():
    prompts = BALANCED.scenes.prompts
    vectors = {prompt: person_vector(index) for index, prompt in enumerate(prompts)}
    violent, safe = vectors["a violent scene"], vectors["a safe indoor scene"]
    seen = objects([{}] * 4, images=[safe, violent, violent, safe])
    judgement = judge(material(seen, scene_texts=[text_embeddings(vectors)]), BALANCED, None)
    report = judgement.objects.scene_classifications
    assert report.status == "evaluated"
    assert set(report.scene_scores) == set(prompts)
    assert report.scene_scores["a violent scene"].max_timestamp_ms == 1_000
    assert report.categories["violence.physical_violence"] > 0.99
    assert judgement.verdict.decision is Decision.REVIEW
    assert judgement.verdict.reasons[0].category == "violence.physical_violence"
    assert (judgement.verdict.reasons[0].start_ms, judgement.verdict.reasons[0].end_ms) == (
        1_000,
        3_000,
    )


def test_texts_of_another_clip_pack_do_not_answer():
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(BALANCED.scenes.prompts)}
    other = text_embeddings(vectors, clip=pack("clip", "clip-vit-l-14"))
    seen = objects([{}], images=[person_vector(0)])
    judgement = judge(material(seen, scene_texts=[other]), BALANCED, None)
    assert judgement.objects.scene_classifications.status == "not_evaluated"
    assert judgement.verdict.decision is Decision.REVIEW


def test_a_broken_index_leaves_faces_unevaluated_and_asks_for_review():
    seen = faces([[face(person_vector(0))]])
    judgement = judge(material(seen), NO_SCENES, InvalidKnownFaces("not a zip"))
    assert judgement.verdict.decision is Decision.REVIEW
    assert judgement.faces.known_faces.status == "not_evaluated"
    assert judgement.faces.total_faces_detected == 1


def test_an_unreadable_embedding_fails_the_analysis_not_the_document():
    broken = face(person_vector(0)).model_copy(update={"embedding": "AAAA!"})
    judgement = judge(material(faces([[broken]])), NO_SCENES, None)
    assert judgement.analyses[Analyzer.FACES].state is AnalysisState.FAILED
    assert judgement.verdict.decision is Decision.REVIEW
    assert judgement.moderation is not None


def test_scene_embeddings_of_several_sizes_fail_the_analysis():
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(BALANCED.scenes.prompts)}
    seen = objects([{}] * 2, images=[person_vector(0), person_vector(0)[:8]])
    judgement = judge(material(seen, scene_texts=[text_embeddings(vectors)]), BALANCED, None)
    assert judgement.objects is None
    assert judgement.analyses[Analyzer.OBJECTS].state is AnalysisState.FAILED
    assert "CLIP" in judgement.analyses[Analyzer.OBJECTS].error.message


def test_unusable_embeddings_of_the_prompts_leave_scenes_open_and_blame_no_frame():
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(BALANCED.scenes.prompts)}
    seen = objects([{}] * 2, images=[person_vector(0)] * 2)
    nothing = dict.fromkeys(vectors, person_vector(0) * 0)
    judgement = judge(material(seen, scene_texts=[text_embeddings(nothing)]), BALANCED, None)
    assert judgement.complete
    assert judgement.objects.scene_classifications.status == "not_evaluated"
    assert "prompts are not usable" in judgement.objects.scene_classifications.reason
    assert judgement.verdict.decision is Decision.REVIEW


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 1e39, 0.0, -100.0])
def test_a_scale_that_makes_no_scores_fails_the_analysis_and_never_approves(scale):
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(BALANCED.scenes.prompts)}
    seen = objects([{}] * 4, images=[vectors["a violent scene"]] * 4)
    seen = seen.model_copy(update={"clip_logit_scale": scale})
    given = material(seen, scene_texts=[text_embeddings(vectors)])
    # Judging an archive leaves the details out, which alone notice a score that is no number.
    for details in (True, False):
        judgement = judge(given, BALANCED, None, details=details)
        assert judgement.verdict.decision is Decision.REVIEW
        assert judgement.analyses[Analyzer.OBJECTS].state is AnalysisState.FAILED


def test_an_embedding_of_the_wrong_size_fails_the_analysis():
    odd = face(person_vector(0)[: DIMENSION - 2])
    judgement = judge(material(faces([[odd]])), NO_SCENES, None)
    assert judgement.analyses[Analyzer.FACES].error.type == "InvalidObservations"


def test_the_strongest_reason_is_first():
    judgement = judge(
        material(moderation([(0.9, UNSAFE)]), transcription("i will kill you fuck")),
        NO_SCENES,
        None,
    )
    gravities = [reason.decision.gravity for reason in judgement.verdict.reasons]
    assert gravities == sorted(gravities, reverse=True)
    assert judgement.verdict.reasons[0].category.startswith("explicit_nudity")


def test_long_videos_keep_bounded_lists_and_say_what_they_leave_out():
    policy = NO_SCENES.model_copy(update={"max_per_frame_entries": 4})
    frames = [(0.9, UNSAFE) if index == 7 else (0.1, {}) for index in range(10)]
    section = judge(material(moderation(frames), frame_count=10), policy, None).moderation
    assert [item.frame for item in section.per_frame] == ["frame_000007.jpg"]
    assert section.per_frame_omitted == 9
    adult = judge(material(moderation([(0.9, UNSAFE)] * 10), frame_count=10), policy, None)
    assert (len(adult.moderation.labels), adult.moderation.labels_omitted) == (4, 16)
    assert adult.moderation.segments[0].frames == 10


def test_chunks_of_a_long_video_are_one_video():
    first = moderation([(0.1, {}), (0.9, UNSAFE)])
    second = moderation([(0.9, UNSAFE), (0.1, {})], chunk=1, first_ms=2_000)
    judged = [
        judge(material(*chunks), NO_SCENES, None) for chunks in ((first, second), (second, first))
    ]
    assert judged[0].verdict == judged[1].verdict
    assert judged[0].moderation == judged[1].moderation
    section = judged[0].moderation
    assert section.flagged_frames == ["frame_000001.jpg", "0001/frame_000000.jpg"]
    times = {(segment.start_ms, segment.end_ms, segment.frames) for segment in section.segments}
    assert times == {(1_000, 3_000, 2)}
