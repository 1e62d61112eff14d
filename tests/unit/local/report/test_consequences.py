import re

import pytest

from local.report.consequences import consequences
from local.report.edit_lists import flagged_segments
from local.report.page import render_report
from screener.document import Decision
from screener.sections import Certainty
from tests.unit.local.report.examples import document


def test_each_segment_asks_for_what_the_verdict_says_of_its_category():
    given = document()
    segments = flagged_segments(given)
    found = {
        segment.category: decision
        for segment, decision in zip(segments, consequences(given, segments), strict=True)
    }
    assert found["explicit_nudity.exposed_intimate_parts.female_breast"] is Decision.REJECT
    assert found["people.known"] is Decision.REVIEW
    assert found["everyday_objects.sharp"] is Decision.APPROVE


@pytest.mark.parametrize(
    ("certainty", "expected"),
    [(Certainty.CONFIRMED, Decision.REJECT), (Certainty.UNCERTAIN, Decision.REVIEW)],
)
def test_an_uncertain_segment_never_rejects(certainty, expected):
    given = document()
    [segment] = [item for item in flagged_segments(given) if item.source == "nudenet"]
    changed = segment.model_copy(update={"certainty": certainty})
    assert consequences(given, [changed]) == [expected]


def test_an_open_question_says_nothing_of_a_segment_of_its_category():
    given = document()
    [threat] = [item for item in flagged_segments(given) if item.category == "violence.threats"]
    [question] = [item for item in given.verdict.reasons if item.code == "not_evaluated"]
    assert question.category == "violence"
    other = threat.model_copy(update={"category": "violence"})
    assert consequences(given, [other]) == [Decision.APPROVE]


def test_what_rejects_looks_different_from_what_is_allowed():
    page = render_report(document())
    bars = re.findall(r'href="#segment-(\d+)".*?<rect class="([a-z ]+)"', page)
    rows = re.findall(r'<tr id="segment-(\d+)".*?<td class="(\w+)">', page, re.DOTALL)
    assert sorted(bars, key=lambda bar: int(bar[0])) == rows
    assert {kind for _, kind in bars} == {"reject", "review", "approve"}
    for kind in ("reject", "review", "approve"):
        assert f'class="key {kind}"' in page
