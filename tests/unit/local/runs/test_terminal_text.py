"""Text from outside does nothing to the terminal that shows it."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from local.runs.terminal_text import safe


def test_escapes_directions_and_line_breaks_are_shown_not_obeyed() -> None:
    assert safe("a\x1b[2Jb\r\nc\u202ed\x07") == "a\\x1b[2Jb\\r\\nc\\u202ed\\x07"


def test_bytes_that_are_no_text_are_shown() -> None:
    assert safe(b"a\xff".decode("utf-8", "surrogateescape")) == "a\\udcff"


def test_ordinary_text_of_any_script_stays() -> None:
    assert safe("été 日本語 العربية 🎬 [bold]") == "été 日本語 العربية 🎬 [bold]"


def test_long_text_ends_in_an_ellipsis() -> None:
    assert safe("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(st.characters(codec=None)))
def test_no_control_character_survives(text: str) -> None:
    shown = safe(text)
    assert all(unicodedata.category(one) not in ("Cc", "Cs", "Zl", "Zp") for one in shown)
    shown.encode("utf-8")
