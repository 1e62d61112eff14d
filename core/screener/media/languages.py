"""Language codes: containers write ISO 639-2 ("eng", "ger" or "deu"), people write "en"."""

# ISO 639-1 -> ISO 639-2 (terminology, then bibliographic where it differs): the languages that
# Whisper transcribes and that containers commonly name. Others compare as they are written.
_THREE_LETTERS: dict[str, tuple[str, ...]] = {
    "ar": ("ara",), "bg": ("bul",), "bn": ("ben",), "ca": ("cat",), "cs": ("ces", "cze"),
    "cy": ("cym", "wel"), "da": ("dan",), "de": ("deu", "ger"), "el": ("ell", "gre"),
    "en": ("eng",), "es": ("spa",), "et": ("est",), "eu": ("eus", "baq"), "fa": ("fas", "per"),
    "fi": ("fin",), "fr": ("fra", "fre"), "he": ("heb",), "hi": ("hin",), "hr": ("hrv",),
    "hu": ("hun",), "hy": ("hye", "arm"), "id": ("ind",), "is": ("isl", "ice"), "it": ("ita",),
    "ja": ("jpn",), "ka": ("kat", "geo"), "kk": ("kaz",), "ko": ("kor",), "lt": ("lit",),
    "lv": ("lav",), "mk": ("mkd", "mac"), "ms": ("msa", "may"), "nl": ("nld", "dut"),
    "no": ("nor", "nob"), "pl": ("pol",), "pt": ("por",), "ro": ("ron", "rum"), "ru": ("rus",),
    "sk": ("slk", "slo"), "sl": ("slv",), "sq": ("sqi", "alb"), "sr": ("srp",), "sv": ("swe",),
    "sw": ("swa",), "ta": ("tam",), "te": ("tel",), "th": ("tha",), "tl": ("tgl",),
    "tr": ("tur",), "uk": ("ukr",), "ur": ("urd",), "vi": ("vie",), "zh": ("zho", "chi"),
}  # fmt: skip
_TWO_LETTERS = {three: two for two, names in _THREE_LETTERS.items() for three in names}


def same_language(tag: str | None, wanted: str) -> bool:
    """Whether a container's language tag ("ger", "en-GB") names the wanted language ("de")."""
    return tag is not None and _normal(tag) == _normal(wanted)


def _normal(tag: str) -> str:
    primary = tag.strip().lower().replace("_", "-").partition("-")[0]
    return _TWO_LETTERS.get(primary, primary)
