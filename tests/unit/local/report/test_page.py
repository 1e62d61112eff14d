import re
from html.parser import HTMLParser

import pytest

from local.report.page import content_security_policy, render_report
from screener.composing import pipeline_run, refused_document
from screener.document import Document, DocumentVideo, Reason
from screener.errors import InvalidVideo, RefusalCode
from tests.unit.local.report.examples import HOSTILE, HOSTILE_SPEECH, document


class Elements(HTMLParser):
    """All start tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page():
    return render_report(document())


def test_verdict_and_strongest_reason_come_first(page):
    body = page[page.index("<body>") :]
    assert body.index("reject") < body.index("Explicit nudity") < body.index("Timeline")


def test_the_page_loads_nothing_from_anywhere(page):
    for tag, attributes in Elements(page).found:
        assert tag not in {"iframe", "object", "embed", "link", "base", "form"}
        for name in ("src", "href", "action"):
            value = attributes.get(name, "")
            assert (
                not value
                or value.startswith(("#", "data:image/jpeg;base64,"))
                or (tag == "a" and value.startswith("https://example.org/"))
            )


def test_nothing_may_run_but_the_one_script(page):
    policy = content_security_policy()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    tags = Elements(page).found
    assert [attributes for tag, attributes in tags if tag == "script"] == [{}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert not [1 for _, attributes in tags if "style" in attributes]


def test_hostile_names_and_words_are_only_text():
    page = render_report(document(HOSTILE, HOSTILE_SPEECH))
    tags = [tag for tag, _ in Elements(page).found]
    assert tags.count("script") == 1
    assert ("img", {"src": "x"}) not in Elements(page).found
    assert "onerror" not in {name for _, attributes in Elements(page).found for name in attributes}
    assert "\u202e" not in page
    assert "{{7*7}}" in page


def test_flagged_words_are_marked_in_the_transcript(page):
    assert re.findall(r"<mark[^>]*>([^<]*)</mark>", page) == ["i", "will", "kill", "you", "fuck"]


def test_masking_hides_flagged_words_everywhere():
    page = render_report(document(), masked=True)
    assert "fuck" not in page
    assert "kill you" not in page
    assert "f***" in page


def test_what_was_not_evaluated_is_said_in_words(page):
    section = page[page.index("What was not looked at") : page.index("Timeline")]
    assert "no object pack knows a weapon class" in section
    assert "screener packs pull clip-vit-b-32" in section


def test_a_review_without_any_finding_says_so(page):
    sentence = "No finding asks for this"
    assert sentence not in page
    given = document()
    open_only = [Reason(code="not_evaluated", decision="review", category=None, detail="scenes")]
    verdict = given.verdict.model_copy(update={"reasons": open_only, "decision": "review"})
    assert sentence in render_report(given.model_copy(update={"verdict": verdict}))


def test_known_people_have_their_links_and_notes(page):
    assert "&lt;b&gt;Ann&lt;/b&gt;" in page
    assert 'href="https://example.org/ann"' in page
    assert "banned" in page


def test_every_lane_is_there_and_findings_link_to_their_rows(page):
    assert re.findall(r'data-lane="(\w+)"', page) == [
        "Moderation",
        "Faces",
        "Speech",
        "Objects",
        "Scenes",
    ]
    links = set(re.findall(r'href="#(segment-\d+)"', page))
    rows = set(re.findall(r'<tr id="(segment-\d+)"', page))
    assert links
    assert links == rows


@pytest.mark.parametrize(("others", "said"), [(0, False), (1, True)])
def test_audio_tracks_that_nobody_listened_to_are_named(others, said):
    given = document()
    video = given.video.model_copy(update={"other_audio_tracks": others})
    page = render_report(given.model_copy(update={"video": video}))
    assert ("1 more audio track</strong>" in page) is said


def test_a_refused_video_has_a_report_too():
    refused = refused_document(
        InvalidVideo(RefusalCode.EMPTY_FILE, "the file has no bytes"),
        DocumentVideo(bucket="media-bucket", key="a.mp4"),
        pipeline_run("arn:aws:states:::x", None, "2026-11-23T00:00:00+00:00"),
    )
    page = render_report(refused)
    assert "the file has no bytes" in page
    assert "invalid" in page
    assert "Timeline" not in page


def test_a_partial_document_says_what_is_missing_and_what_to_do():
    whole = document().model_dump(mode="json")
    whole["analyses"]["faces"] |= {
        "status": "timed_out",
        "error": {"type": "AnalysisTimedOut", "message": "nothing after 3600 s"},
        "action": "press Redrive",
    }
    whole |= {"faces": None, "status": "partial", "partial": True}
    page = render_report(Document.model_validate(whole))
    assert "nothing after 3600 s" in page
    assert "press Redrive" in page
    assert "not analysed" in page
