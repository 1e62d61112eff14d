"""Text from outside (file names, transcripts, error messages) made safe for a terminal."""

import unicodedata

from rich.console import Console

# Format characters that change how neighbours are shown: directions, and joiners out of place.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


_PIPED_WIDTH = 160


def output_console() -> Console:
    """Standard output; lines of a table that goes to a file or a pipe are not cut at 80."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    return console


def safe(text: str, limit: int | None = None) -> str:
    """Show control and reordering characters as escapes instead of letting them act.

    Args:
        text: anything.
        limit: longest result in characters; longer text ends in an ellipsis.
    """
    shown = "".join(
        character
        if character not in _REORDERING and unicodedata.category(character) not in _UNSAFE
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text.expandtabs(4)
    )
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown
