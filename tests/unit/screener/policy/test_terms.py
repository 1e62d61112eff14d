import time

import pytest

from screener.policy.loading import Preset, load_preset
from screener.policy.model import SpeechPolicy, Term
from screener.policy.terms import TermFinder
from screener.sections import TranscriptWord

BALANCED = load_preset(Preset.BALANCED).speech


def said(text, step_ms=400):
    return [
        TranscriptWord(
            start_ms=index * step_ms,
            end_ms=index * step_ms + 300,
            text=f" {word}",
            probability=0.9,
        )
        for index, word in enumerate(text.split())
    ]


def found(text, *terms, language="en", allow=(), **options):
    policy = SpeechPolicy(
        terms={
            language: [
                Term(term=term, category="abusive_language.profanity", **options) for term in terms
            ]
        },
        allow=list(allow),
    )
    return TermFinder(policy, [language]).find(said(text))


@pytest.mark.parametrize(
    ("term", "language", "other"),
    [("लिंग", "hi", "लग"), ("चूत", "hi", "चीत"), ("கொலை", "ta", "கல"), ("খুন", "bn", "খান")],
)
def test_words_that_differ_by_their_vowel_signs_are_different_words(term, language, other):
    assert found(other, term, language=language) == []
    assert [match.term.term for match in found(term, term, language=language)] == [term]


@pytest.mark.parametrize("text", ["fuck\ufe0f", "fu\u034fck", "fu\u200bck", "f\u0336u\u0336ck"])
def test_marks_that_only_decorate_a_letter_hide_nothing(text):
    assert len(found(text, "fuck")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "fuck",
        "Fuck,",
        "FUCK!",
        "fucking",
        "fucked",
        "fucker",
        "fuckers",
        "f.u.c.k",
        "f-u-c-k",
        "f_u_c_k",
        "f u c k",
        "fu ck",
        "f**k",
        "f*ck",
        "fuuuuck",
        "FUUUCKING",
        "fück",
        "ｆｕｃｋ",
        "mother-fucker",
    ],
)
def test_a_term_is_found_however_it_is_said(text):
    (match,) = found(f"well {text} then", "fuck")
    assert match.first == 1


@pytest.mark.parametrize(
    ("text", "term"),
    [("sh1t", "shit"), ("$hit", "shit"), ("@sshole", "asshole"), ("b!tch", "bitch")],
)
def test_look_alike_characters_are_seen_through(text, term):
    (match,) = found(f"what {text} this", term)
    assert match.obfuscated


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Scunthorpe", "cunt"),
        ("assassin", "ass"),
        ("class", "ass"),
        ("cockpit", "cock"),
        ("Dickens", "dick"),
        ("455", "ass"),
        ("as she said", "ass"),
        ("pass hole", "asshole"),
        ("he is hit", "shit"),
        ("* * *", "fuck"),
        ("f***", "fuck you"),
        ("****", "fuck"),
        ("truck", "fuck"),
        ("", "fuck"),
    ],
)
def test_words_that_only_resemble_a_term_are_left_alone(text, term):
    assert found(f"well {text} then", term) == []


def test_a_phrase_is_found_across_punctuation_but_not_across_a_pause():
    assert len(found("so, kill yourself. now", "kill yourself", inflect=False)) == 1
    policy = SpeechPolicy(
        terms={"en": [Term(term="kill yourself", category="violence.self_injury")]}
    )
    words = said("kill yourself")
    late = [words[0], words[1].model_copy(update={"start_ms": 9_000, "end_ms": 9_300})]
    assert TermFinder(policy, ["en"]).find(late) == []


def test_times_are_those_of_the_words():
    (match,) = found("a b c i will kill you", "i will kill you", inflect=False)
    assert (match.first, match.last) == (3, 6)


def test_allowed_phrases_win():
    assert found("a pussy cat here", "pussy", allow=["pussy cat"]) == []
    assert len(found("a pussy cat and a pussy", "pussy", allow=["pussy cat"])) == 1


def test_without_obfuscation_only_the_word_itself_matches():
    assert found("c o c k", "cock", obfuscated=False) == []
    assert len(found("cocks", "cock", obfuscated=False)) == 1


def test_without_inflection_only_the_word_itself_matches():
    assert found("fucking", "fuck", inflect=False) == []


def test_guesses_are_marked_as_guesses():
    assert [match.guessed for match in found("f*ck", "fuck")] == [True]
    assert [match.guessed for match in found("fu ck", "fuck")] == [True]
    assert [match.guessed for match in found("f u c k", "fuck")] == [False]


def test_each_occurrence_counts_once():
    assert len(found("fuck fuck fucking", "fuck")) == 3


@pytest.mark.parametrize(
    ("language", "text", "term"),
    [
        ("de", "so eine Scheiße hier", "scheiße"),
        ("es", "eres un CABRÓN tío", "cabrón"),
        ("fr", "quel enculé", "enculé"),
        ("ru", "какая сука там", "сука"),
        ("zh", "他 妈 的 东西", "他妈的"),
        ("ja", "この 馬 鹿 野郎", "馬鹿野郎"),
    ],
)
def test_other_languages(language, text, term):
    assert len(found(text, term, language=language)) == 1


def test_terms_of_a_language_that_is_not_spoken_are_not_looked_for():
    finder = TermFinder(BALANCED, ["en"])
    assert finder.find(said("the gift was puta")) == []


def test_terms_for_any_language_are_always_looked_for():
    policy = SpeechPolicy(terms={"any": [Term(term="heil hitler", category="hate.speech")]})
    assert len(TermFinder(policy, ["fi"]).find(said("heil hitler"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "the weather is nice today and we went to the shop to buy some bread and butter",
        "ask not what your country can do for you ask what you can do for your country",
        "he put his hand on the wall and said I will kill the lights you know",
        "the cook was in a good mood and the duck swam on the lake with a buck",
        "it is a pity that the title of the book was not on the list of a class",
        "she sits in a chair and knits as she talks about her horse and her house",
    ],
)
def test_ordinary_speech_has_no_terms(text):
    assert TermFinder(BALANCED, ["en"]).find(said(text)) == []


def test_a_long_transcript_is_searched_quickly():

    words = said("the quick brown fox jumps over the lazy dog " * 2_000)
    finder = TermFinder(BALANCED, ["en"])
    start = time.process_time()
    assert finder.find(words) == []
    assert time.process_time() - start < 3
