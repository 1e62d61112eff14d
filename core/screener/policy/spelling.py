"""How a flagged term can be said or written: endings, separators, look-alike characters.

Libraries for profanity (better-profanity, alt-profanity-check, profanity-filter) were looked
at: they carry their own word lists or classifiers, give no positions, and are mostly
unmaintained. What is needed here is small: exact word boundaries with times.
"""

import re
import unicodedata
from functools import cache, lru_cache

_LOOK_ALIKES = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)
_ENDINGS: dict[str, tuple[str, ...]] = {
    "en": ("s", "es", "ed", "d", "er", "ers", "ing", "in", "y", "ty", "'s", "z"),
    "de": ("e", "en", "er", "es", "em", "n", "s", "st", "t", "te", "ten"),
    "fr": ("s", "e", "es", "er", "ez", "ent", "x"),
    "es": ("s", "es", "o", "a", "os", "as", "ar", "ando", "ado"),
    "it": ("i", "e", "o", "a"),
    "pt": ("s", "es", "o", "a", "os", "as", "ar"),
}
_DOUBLED_BEFORE = ("ed", "er", "ers", "ing", "in", "y")
_VOCABULARY = 65_536  # words whose readings are remembered: speech repeats itself
_VOWELS = frozenset("aeiou")
_FIRST_INDIC = "\u0900"
"""From here on, scripts write vowels as marks. Before it, marks only decorate letters."""
_RUN = re.compile(r"(.)\1{2,}")
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
# Pieces that are words of their own: "as shole" is no evidence, "fu ck" is.
_ORDINARY_TEXT = (
    "a i an as at am be by do go he hi if in is it me my no of oh on or so to up us we the and "
    "but for not you all any can her was one our out day get has him his how man new now old "
    "see two way who boy did its let put say she too use pen ass hit that with this from have "
    "they will your what when"
)
_ORDINARY_PIECES = frozenset(_ORDINARY_TEXT.split())


def fold(text: str) -> str:
    """Compatibility form, lower case, no accents: what a reader would call the same letters."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def has_no_word_boundaries(text: str) -> bool:
    """Whether a text is in a script that is written without spaces."""
    return _WITHOUT_SPACES.search(text) is not None


def pieces(text: str) -> list[str]:
    """The words of a term or an allow-list entry, folded."""
    return [word for word in (_letters(part, "_'") for part in fold(text).split()) if word]


def _letters(text: str, also: str = "") -> str:
    """A folded text's letters and digits with their vowel signs, and the characters of `also`.

    Indic vowels are marks and no letters to a regular expression: without them many words of
    different meaning are the same.
    """
    kept: list[str] = []
    for letter in text:
        is_vowel_sign = (
            bool(kept) and kept[-1] >= _FIRST_INDIC and unicodedata.category(letter) in ("Mc", "Mn")
        )
        if letter.isalnum() or letter in also or is_vowel_sign:
            kept.append(letter)
    return "".join(kept)


@cache
def inflections(word: str, language: str) -> frozenset[str]:
    """A word with the endings that a language puts on it; generous rather than grammatical."""
    endings = _ENDINGS.get(language, ())
    forms = {word} | {word + ending for ending in endings}
    if language == "en" and len(word) >= 3:
        if word[-1] not in _VOWELS and word[-2] in _VOWELS and word[-3] not in _VOWELS:
            forms |= {word + word[-1] + ending for ending in _DOUBLED_BEFORE}
        if word.endswith("e"):
            forms |= {word[:-1] + ending for ending in ("ed", "er", "ers", "ing")}
        if word.endswith("y"):
            forms |= {word[:-1] + "ies", word[:-1] + "ied"}
    return frozenset(forms)


@lru_cache(_VOCABULARY)
def spoken(text: str) -> str:
    """A transcribed word as plain letters: `" Fuck,"` -> `fuck`."""
    return _letters(fold(text), "_'").strip("'_")


@lru_cache(_VOCABULARY)
def is_plain(text: str) -> bool:
    """Whether a word is letters only, none three times in a row: nothing to see through."""
    core = text.strip(" .,;:?")
    return core.isalpha() and _RUN.search(core) is None


@lru_cache(_VOCABULARY)
def deobfuscated(text: str) -> frozenset[str]:
    """Other readings of a written word; empty when it looks ordinary.

    `f.u.c.k` -> `fuck`; `sh1t` -> `shit`; `fuuuck` -> `fuck`.
    """
    folded = fold(text).strip()
    readings: set[str] = set()
    if any(letter.isalpha() for letter in folded):
        # Trailing punctuation is grammar ("shi!" is not "shii"), inner punctuation is disguise.
        core = folded.strip(".,;:?!\"'()[]{}-_ ")
        readings.add(_letters(core.translate(_LOOK_ALIKES)))
        lead = folded.strip(".,;:?\"'()[]{}-_ ")
        readings.add(_letters(lead.rstrip("!").translate(_LOOK_ALIKES)))
    for reading in list(readings):
        if _RUN.search(reading):
            readings |= {_RUN.sub(r"\1", reading), _RUN.sub(r"\1\1", reading)}
    readings.discard(spoken(text))
    readings.discard("")
    return frozenset(readings)


def masked_pattern(text: str) -> "re.Pattern[str] | None":
    """`f**k` as a pattern in which each asterisk is a letter; None without asterisks.

    The first letter and one more must be there, else it could be anything.
    """
    core = fold(text).strip(".,;:?!\"'()[]{}- ")
    if not re.fullmatch(r"\w[\w*]*\*[\w*]*", core) or len(core.replace("*", "")) < 2:
        return None
    return re.compile("".join(r"[^\W\d_]" if c == "*" else re.escape(c) for c in core))


def is_split_word(parts: list[str]) -> bool:
    """Whether neighbouring words may be one word in pieces ("fu ck", "f u c k")."""
    if len(parts) > 2:
        return all(len(part) == 1 for part in parts)
    return all(part not in _ORDINARY_PIECES for part in parts)
