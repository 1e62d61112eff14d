"""What the terminal says about a document."""

import dataclasses
import io

import pytest
from rich.console import Console

from local.runs.verdict_text import NOTHING_FOUND, print_verdict
from screener.composing import judged_document, pipeline_run
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset
from tests.observation_examples import material, moderation, transcription


def told(*observations, other_audio_tracks=0):
    given = material(*observations)
    video = given.video.model_copy(update={"other_audio_tracks": other_audio_tracks})
    given = dataclasses.replace(given, video=video)
    judgement = judge(given, load_preset(Preset.BALANCED), None)
    run = pipeline_run("arn", None, "2026-11-23T00:00:00+00:00")
    document = judged_document(given, judgement, run, last_modified=None, instance_types={})
    output = io.StringIO()
    print_verdict(Console(file=output, width=100), document, {})
    return output.getvalue()


def test_a_review_for_want_of_an_answer_says_that_nothing_was_found_and_what_to_do():
    text = told()
    assert text.splitlines()[0] == "REVIEW"
    assert NOTHING_FOUND in text
    assert "scenes: not evaluated (the objects analyzer has no CLIP pack)" in text
    assert "screener packs pull clip-vit-b-32" in text


@pytest.mark.parametrize(
    "seen",
    [
        moderation([(0.9, {}), (0.9, {}), (0.1, {})]),
        transcription("i will kill you"),
    ],
    ids=["one model", "spoken"],
)
def test_a_review_because_of_a_finding_does_not_say_so(seen):
    text = told(seen)
    assert text.splitlines()[0] == "REVIEW"
    assert NOTHING_FOUND not in text


@pytest.mark.parametrize(("others", "said"), [(0, False), (2, True)])
def test_audio_tracks_that_nobody_listened_to_are_named(others, said):
    assert ("one of 3 audio tracks was listened to" in told(other_audio_tracks=others)) is said
