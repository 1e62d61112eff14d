import csv
import io
import re

import pytest

from local.report.edit_lists import segments_csv, segments_edl
from local.report.subtitles import vtt_time, web_vtt
from tests.unit.local.report.examples import HOSTILE_SPEECH, document


def test_the_transcript_is_webvtt_with_flagged_words_marked():
    text = web_vtt(document())
    assert text.startswith("WEBVTT\n")
    assert "00:00:00.000 --> 00:00:03.150" in text
    assert "<c.flagged>kill</c>" in text


def test_words_cannot_break_out_of_a_cue():
    text = web_vtt(document(speech=HOSTILE_SPEECH))
    cues = text.split("\n\n")[1:]
    assert len(cues) == 1
    assert text.count("-->") == 1
    assert "<script" not in text


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, "00:00:00.000"), (83_200, "00:01:23.200"), (36_000_001, "10:00:00.001")],
)
def test_webvtt_times(milliseconds, expected):
    assert vtt_time(milliseconds) == expected


def test_a_silent_video_has_an_empty_webvtt():
    assert web_vtt(document().model_copy(update={"transcription": None})) == "WEBVTT\n"


def test_the_csv_has_a_row_per_finding():
    rows = list(csv.DictReader(io.StringIO(segments_csv(document()))))
    assert {row["source"] for row in rows} >= {"nudenet", "opennsfw2", "terms", "objects"}
    starts = [int(row["start_ms"]) for row in rows]
    assert starts == sorted(starts)


def test_a_label_is_never_a_formula():
    given = document()
    first = given.moderation.segments[0].model_copy(update={"labels": ["=HYPERLINK(1)"]})
    moderation = given.moderation.model_copy(update={"segments": [first]})
    text = segments_csv(given.model_copy(update={"moderation": moderation}))
    assert "'=HYPERLINK(1)" in text


def test_the_edl_has_frames_at_the_videos_rate():
    text = segments_edl(document())
    assert text.startswith("TITLE: uploads/clip.mp4\r\nFCM: NON-DROP FRAME\r\n")
    events = re.findall(r"^(\d{3})  AX +V +C +(\S+) (\S+) \2 \3\r$", text, flags=re.MULTILINE)
    assert [number for number, _, _ in events] == [f"{n:03d}" for n in range(1, len(events) + 1)]
    assert ("00:00:10:00", "00:00:13:00") in [(start, end) for _, start, end in events]


def test_a_short_finding_still_has_a_length_in_the_edl():
    given = document()
    brief = given.moderation.segments[0].model_copy(update={"start_ms": 5, "end_ms": 6})
    moderation = given.moderation.model_copy(update={"segments": [brief]})
    text = segments_edl(given.model_copy(update={"moderation": moderation}))
    assert "00:00:00:00 00:00:00:01" in text
