import pytest

from model_servers.transcription import guard
from screener.observations import Word


def words(text: str, each_ms: int = 300) -> list[Word]:
    return [
        Word(start_ms=n * each_ms, end_ms=(n + 1) * each_ms, text=word, probability=0.9)
        for n, word in enumerate(text.split())
    ]


def test_a_loop_is_told_from_speech() -> None:
    assert guard.repeats_itself("Thank you for watching. " * 12)
    assert not guard.repeats_itself(
        "And so, my fellow Americans, ask not what your country can do for you, "
        "ask what you can do for your country."
    )
    assert not guard.repeats_itself("No, no, no!")
    assert not guard.repeats_itself("")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("so it goes on and on and on and on and on again", "so it goes on and on and on again"),
        ("bye. Bye, bye! bye bye", "bye. Bye,"),
        ("no no is fine", "no no is fine"),
        ("one two three", "one two three"),
        ("", ""),
    ],
)
def test_a_phrase_that_follows_itself_is_kept_twice(said: str, kept: str) -> None:
    assert " ".join(word.text for word in guard.without_loops(words(said))) == kept


def test_kept_words_keep_their_times() -> None:
    kept = guard.without_loops(words("a b a b a b end"))
    assert [word.start_ms for word in kept] == [0, 300, 600, 900, 1800]


def test_the_longest_gap_counts_both_ends_of_the_clip() -> None:
    spoken = words("one two")
    assert guard.longest_gap_ms(spoken, 0, 5_600) == 5_000
    assert guard.longest_gap_ms(spoken, 0, 600) == 0
    assert guard.longest_gap_ms([], 1_000, 9_000) == 8_000
