import pytest

from local.report.timeline import clock, lanes, ticks
from tests.unit.local.report.examples import document


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, "0:00.0"), (83_200, "1:23.2"), (59_999, "0:59.9"), (36_000_000, "10:00:00.0")],
)
def test_times_are_shown_as_players_show_them(milliseconds, expected):
    assert clock(milliseconds) == expected


@pytest.mark.parametrize("duration_ms", [1, 999, 12_000, 600_000, 36_000_000, 10**15])
def test_any_duration_has_a_handful_of_ticks(duration_ms):
    found = ticks(duration_ms)
    assert 1 <= len(found) <= 10
    assert found[0].left == "0.0000%"


def test_a_presence_stops_where_the_thing_stops():
    given = document()
    faces = lanes(given, [], 30_000)[1]
    name, bars = faces.rows[-1]
    assert name == "any face"
    # Five seconds with a face, two without, over and over.
    assert [(bar.left, bar.width) for bar in bars[:2]] == [
        ("0.0000%", "16.6667%"),
        ("23.3333%", "16.6667%"),
    ]
