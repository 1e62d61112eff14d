import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from screener.observations import SpeechSegment, TranscriptionObservations, Word
from screener.policy.transcript import merge_transcripts


def chunk(number, words, duration_ms=10_000):
    return TranscriptionObservations(
        packs=[],
        provider="x",
        timings_ms={},
        chunk=number,
        language="en",
        language_probability=1,
        duration_ms=duration_ms,
        speech_ms=1_000,
        segments=[
            SpeechSegment(
                start_ms=words[0].start_ms,
                end_ms=words[-1].end_ms,
                text="".join(word.text for word in words),
                average_log_probability=-0.1,
                no_speech_probability=0,
                words=words,
            )
        ]
        if words
        else [],
    )


def word(text, start_ms, length_ms=300):
    return Word(start_ms=start_ms, end_ms=start_ms + length_ms, text=f" {text}", probability=0.9)


def texts(segments):
    return [item.text.strip() for segment in segments for item in segment.words]


def test_one_chunk_is_left_as_it_is():
    one = chunk(0, [word("hello", 0), word("there", 400)])
    (segment,) = merge_transcripts([one], {0: 0})
    assert segment.text == "hello there"


def test_words_of_the_overlap_appear_once():
    left = chunk(0, [word(f"w{n}", n * 500) for n in range(20)], 10_000)
    right = chunk(1, [word(f"w{n}", n * 500) for n in range(16, 36)], 10_000)
    merged = merge_transcripts([left, right], {0: 0, 1: 8_000})
    assert texts(merged) == [f"w{n}" for n in range(36)]


@pytest.mark.parametrize("shift_ms", [-300, -100, 0, 100, 300])
def test_a_word_at_the_border_is_neither_lost_nor_doubled(shift_ms):
    left = chunk(0, [word("a", 8_000), word("border", 8_850)], 10_000)
    right = chunk(1, [word("border", 8_850 + shift_ms), word("z", 9_800)], 10_000)
    merged = merge_transcripts([left, right], {0: 0, 1: 8_000})
    assert texts(merged) == ["a", "border", "z"]


def test_a_word_that_only_one_chunk_heard_is_kept():
    left = chunk(0, [word("a", 1_000), word("quiet", 9_100)], 10_000)
    right = chunk(1, [word("z", 12_000)], 10_000)
    assert texts(merge_transcripts([left, right], {0: 0, 1: 8_000})) == ["a", "quiet", "z"]


def test_chunks_that_do_not_overlap_keep_all_their_words():
    left = chunk(0, [word("a", 9_900)], 10_000)
    right = chunk(1, [word("a", 10_200)], 10_000)
    assert texts(merge_transcripts([left, right], {0: 0, 1: 10_000})) == ["a", "a"]


def test_text_without_word_times_is_spread_over_its_segment():
    bare = TranscriptionObservations(
        packs=[],
        provider="x",
        timings_ms={},
        language="en",
        language_probability=1,
        duration_ms=4_000,
        speech_ms=4_000,
        segments=[
            SpeechSegment(
                start_ms=0,
                end_ms=4_000,
                text="i will kill you",
                average_log_probability=-0.5,
                no_speech_probability=0,
                words=[],
            )
        ],
    )
    (segment,) = merge_transcripts([bare], {0: 0})
    assert [item.text for item in segment.words] == ["i", "will", "kill", "you"]
    assert [item.start_ms for item in segment.words] == [0, 1_000, 2_000, 3_000]


def test_nothing_said_is_no_segment():
    assert merge_transcripts([], {}) == []
    assert merge_transcripts([chunk(0, [])], {0: 0}) == []


@settings(max_examples=60, deadline=None)
# Each chunk drops w2 for the other to keep, and in each a neighbour touches it by a millisecond.
@example(gaps=[300] * 4, overlap_ms=500, jitter=[0, 0, -101, -101] + [0] * 56)
@given(
    st.lists(st.integers(300, 900), min_size=4, max_size=60),
    st.integers(500, 4_000),
    st.lists(st.integers(-120, 120), min_size=60, max_size=60),
)
def test_any_track_cut_in_two_is_put_together_again(gaps, overlap_ms, jitter):
    """Every word once, in order, although the two chunks disagree a little about the times."""
    at, starts = 0, []
    for gap in gaps:
        starts.append(at)
        at += gap
    words = [word(f"w{index}", start, 200) for index, start in enumerate(starts)]
    border = at // 2
    start_ms, end_ms = max(0, border - overlap_ms // 2), border + overlap_ms // 2
    left = [item for item in words if item.end_ms <= end_ms]
    right = [
        item.model_copy(
            update={
                "start_ms": max(0, item.start_ms + jitter[index]),
                "end_ms": max(0, item.start_ms + jitter[index]) + 200,
            }
        )
        for index, item in enumerate(words)
        if item.start_ms >= start_ms
    ]
    merged = merge_transcripts([chunk(0, left, end_ms), chunk(1, right, at)], {0: 0, 1: start_ms})
    assert texts(merged) == [item.text.strip() for item in words]
