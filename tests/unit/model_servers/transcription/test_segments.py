import pytest

from model_servers.transcription.recogniser import Utterance
from model_servers.transcription.segments import segments_of
from screener.observations import Word


def utterance(*spoken: tuple[int, int, str], space: str = " ") -> Utterance:
    words = [Word(start_ms=a, end_ms=b, text=text, probability=0.5) for a, b, text in spoken]
    return Utterance(words, -0.25, 0.1, space)


def test_sentences_become_segments_with_their_own_times() -> None:
    parts = segments_of(
        utterance((0, 200, "Who"), (200, 500, "goes?"), (600, 900, "Nobody."), (900, 950, "Ok")), 0
    )
    assert [(part.start_ms, part.end_ms, part.text) for part in parts] == [
        (0, 500, "Who goes?"),
        (600, 900, "Nobody."),
        (900, 950, "Ok"),
    ]
    assert {part.average_log_probability for part in parts} == {-0.25}


def test_a_pause_divides_what_punctuation_does_not() -> None:
    parts = segments_of(utterance((0, 500, "so"), (1_600, 1_900, "then")), 0)
    assert [part.text for part in parts] == ["so", "then"]


def test_endless_sentences_are_cut() -> None:
    spoken = [(n * 500, n * 500 + 400, "and") for n in range(100)]
    assert max(p.end_ms - p.start_ms for p in segments_of(utterance(*spoken), 0)) <= 15_000


def test_times_move_to_the_chunk_and_languages_without_spaces_stay_so() -> None:
    [part] = segments_of(utterance((10, 20, "你"), (20, 30, "好"), space=""), 60_000)
    assert (part.text, part.start_ms, part.words[1].end_ms) == ("你好", 60_010, 60_030)


def test_an_utterance_without_words_has_no_segment() -> None:
    assert segments_of(Utterance([], -0.1, 0.0), 0) == []


@pytest.mark.parametrize("probability", [1.0000004, -0.0000001])
def test_probabilities_of_the_model_are_brought_into_range(probability: float) -> None:
    word = Word(start_ms=0, end_ms=1, text="a", probability=1)
    [part] = segments_of(Utterance([word], -0.1, probability), 0)
    assert 0 <= part.no_speech_probability <= 1
