import numpy as np
import pytest

from screener.policy.faces import Faces
from screener.policy.known_faces import IndexMetadata, dump_known_faces, load_known_faces
from screener.policy.loading import Preset, load_preset
from screener.policy.model import FacesPolicy, Persistence
from screener.policy.people import group_people
from screener.sections import Certainty
from tests.observation_examples import RECOGNISER, face, faces, pack, person_vector

POLICY = FacesPolicy(
    default_threshold=0.9,
    thresholds={RECOGNISER.name: 0.5},
    margin=0.05,
    persistence=Persistence(min_frames=2),
)


def known(*people, recogniser=RECOGNISER):
    vectors = np.stack([vector for _, vector in people])
    return load_known_faces(
        dump_known_faces(
            vectors, [label for label, _ in people], IndexMetadata(recogniser=recogniser)
        )
    )


ANN, BOB = ("ann", person_vector(0)), ("bob", person_vector(1))


def judged(frames, index, policy=POLICY):
    return Faces([faces(frames)], policy, index).section(max_frames=1_000)


def test_a_known_person_is_matched_with_times():
    section = judged([[], [face(person_vector(0))], [face(person_vector(0))]], known(ANN, BOB))
    (match,) = section.known_matches
    assert (match.label, match.certainty, match.frames) == ("ann", Certainty.CONFIRMED, 2)
    assert (match.segments[0].start_ms, match.segments[0].end_ms) == (1_000, 3_000)
    assert section.per_frame[1].faces[0].match == "ann"


def test_the_threshold_is_the_recognisers_own():
    half = person_vector(0) * 0.7 + person_vector(5) * 0.714
    assert judged([[face(half)]] * 2, known(ANN)).known_matches != []
    other = POLICY.model_copy(update={"thresholds": {}})
    assert judged([[face(half)]] * 2, known(ANN), other).known_matches == []


def test_a_face_between_two_people_is_uncertain():
    between = person_vector(0) + person_vector(1)
    section = judged([[face(between / np.linalg.norm(between))]] * 2, known(ANN, BOB))
    (match,) = section.known_matches
    assert match.certainty is Certainty.UNCERTAIN


def test_one_frame_does_not_persist():
    assert judged([[face(person_vector(0))], [], []], known(ANN)).known_matches == []


def test_a_person_is_matched_once_per_frame():
    alike = [face(person_vector(0), left=0.1), face(person_vector(0, 0.02, 3), left=0.6)]
    section = judged([alike] * 2, known(ANN))
    for frame in section.per_frame:
        assert [item.match for item in frame.faces].count("ann") == 1


def test_an_index_of_another_recogniser_is_not_used():
    other = pack("recogniser", "w600k-r50")
    section = judged([[face(person_vector(0))]] * 2, known(ANN, recogniser=other))
    assert section.known_faces.status == "not_evaluated"
    assert section.known_matches == []


@pytest.mark.parametrize(("cosine", "found"), [(0.38, True), (0.35, False)])
def test_faces_of_sface_are_compared_with_its_own_threshold_in_a_preset(cosine, found):
    sface = pack("recogniser", "sface")
    turned = cosine * person_vector(0) + np.sqrt(1 - cosine**2) * person_vector(1)
    frames = [[face(turned.astype(np.float32))]] * 2
    policy = load_preset(Preset.BALANCED).faces
    judged_faces = Faces([faces(frames, recogniser=sface)], policy, known(ANN, recogniser=sface))
    assert bool(judged_faces.matches) is found


def test_without_an_index_nobody_is_looked_for():
    section = judged([[face(person_vector(0))]], None)
    assert section.known_faces.status == "not_configured"
    assert section.total_faces_detected == 1


def test_weak_detections_do_not_count():
    assert judged([[face(person_vector(0), score=0.3)]], None).total_faces_detected == 0


def test_people_are_counted_once_over_the_video():
    frames = [[face(person_vector(index % 3, 0.05, index))] for index in range(30)]
    assert judged(frames, None).unique_identities == 3


def test_two_faces_in_one_frame_are_two_people():
    twins = np.stack([person_vector(0), person_vector(0, 0.01, 1)])
    (persons,) = group_people([twins], 0.5)
    assert len(set(persons)) == 2


def test_people_seen_together_are_never_merged_later():
    first, second = person_vector(0), person_vector(0, 0.08, 2)
    frames = [np.stack([first]), np.stack([first, second]), np.stack([second])]
    persons = group_people(frames, 0.5)
    assert len({number for numbers in persons for number in numbers}) == 2


def test_numbers_follow_appearance():
    persons = group_people([np.stack([person_vector(4)]), np.stack([person_vector(2)])], 0.5)
    assert persons == [[0], [1]]


@pytest.mark.parametrize("frames", [[], [[]], [[], []]])
def test_videos_without_faces(frames):
    section = judged(frames, known(ANN))
    assert (section.total_faces_detected, section.unique_identities) == (0, 0)
