"""The report in a real browser: what the page does, and what it must never do."""

import io

import pytest

from local.report.writing import write_report
from tests.browser import Browser
from tests.unit.local.report.examples import HOSTILE, HOSTILE_SPEECH, bundle, document


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    given = document()
    data = bundle(given)
    return write_report(
        given,
        tmp_path_factory.mktemp("report") / "report.html",
        open_bundle=lambda _chunk: io.BytesIO(data),
    )


def complaints(browser):
    return [
        event["params"]
        for event in browser.events
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
    ]


def test_the_page_works_from_a_file_and_asks_for_nothing(browser, page):
    browser.open(page)
    assert browser.evaluate("document.documentElement.className") == "scripted"
    assert complaints(browser) == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == []


def test_zoom_widens_the_timeline(browser, page):
    browser.open(page)
    width = "document.getElementById('strip').clientWidth"
    before = browser.evaluate(width)
    browser.evaluate("document.getElementById('zoom-in').click()")
    assert browser.evaluate(width) == pytest.approx(2 * before, abs=2)
    assert browser.evaluate("document.getElementById('zoom').textContent") == "2×"
    browser.evaluate("document.getElementById('scroller').focus()")
    browser.press("-")
    assert browser.evaluate(width) == pytest.approx(before, abs=2)


def test_a_finding_on_the_timeline_leads_to_its_row_by_keyboard(browser, page):
    browser.open(page)
    browser.evaluate("document.querySelector('#strip a').focus()")
    browser.press("Enter")
    target = browser.evaluate("document.querySelector('#strip a').getAttribute('href')")
    assert browser.evaluate("location.hash") == target
    assert browser.evaluate("'#' + document.activeElement.id") == target
    assert browser.evaluate("document.activeElement.tagName") == "TR"


def test_frames_are_blurred_until_asked_for(browser, page):
    browser.open(page)
    image = "document.querySelector('img[alt=\"Frame at 0:10.0, blurred\"]')"
    blurred = browser.evaluate(f"{image}.src")
    clear = browser.evaluate(f"{image}.dataset.clear")
    assert blurred != clear
    browser.evaluate("document.getElementById('show').click()")
    assert browser.evaluate(f"{image}.src") == clear
    browser.evaluate("document.getElementById('show').click()")
    assert browser.evaluate(f"{image}.src") == blurred


def test_greyscale_is_a_switch(browser, page):
    browser.open(page)
    browser.evaluate("document.getElementById('grey').click()")
    style = "getComputedStyle(document.querySelector('.picture img')).filter"
    assert browser.evaluate(style) == "grayscale(1)"


def test_hostile_names_and_words_do_not_run(browser, tmp_path):
    target = write_report(document(HOSTILE, HOSTILE_SPEECH), tmp_path / "hostile.html")
    browser.open(target)
    assert browser.evaluate("document.title") != "owned"
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert complaints(browser) == []


def test_the_policy_stops_a_script_that_got_in_anyway(browser, page, tmp_path):
    text = page.read_text("utf-8").replace(
        "</main>", "</main><script>document.title = 'owned'</script>"
    )
    broken = tmp_path / "broken.html"
    broken.write_text(text, "utf-8")
    browser.open(broken)
    assert browser.evaluate("document.title") != "owned"


@pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
def test_light_and_dark(browser, page, scheme, darker):
    browser.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    browser.open(page)
    colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert (brightness < 3 * 128) is darker


def test_it_prints(browser, page):
    browser.open(page)
    assert len(browser.call("Page.printToPDF")["data"]) > 10_000
