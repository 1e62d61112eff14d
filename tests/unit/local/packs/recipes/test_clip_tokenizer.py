"""The conversion on a vocabulary of our own; every build compares it with open_clip's."""

from types import SimpleNamespace

import pytest

from local.packs.recipes.clip_tokenizer import make_tokenizer


@pytest.fixture
def tokenizer():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + ["'", ",", "1", "Ã", "©"]
    merges = [("c", "a"), ("ca", "t</w>"), ("'", "s</w>")]
    vocabulary = ["!", *letters, *[letter + "</w>" for letter in letters]]
    vocabulary += ["".join(pair) for pair in merges] + ["<start_of_text>", "<end_of_text>"]
    encoder = {token: number for number, token in enumerate(vocabulary)}
    source = SimpleNamespace(
        encoder=encoder,
        bpe_ranks={pair: rank for rank, pair in enumerate(merges)},
        sot_token_id=encoder["<start_of_text>"],
        eot_token_id=encoder["<end_of_text>"],
    )
    made = make_tokenizer(source, 8)

    def encode(text):
        return [vocabulary[number] for number in made.encode(text).ids]

    return encode


def pad(*tokens):
    return ["<start_of_text>", *tokens, "<end_of_text>"] + ["!"] * (6 - len(tokens))


def test_pairs_are_merged_in_their_order_and_words_end_visibly(tokenizer):
    assert tokenizer("cat") == pad("cat</w>")
    assert tokenizer("cab") == pad("ca", "b</w>")


def test_case_and_runs_of_space_make_no_difference(tokenizer):
    assert tokenizer("  CAT\t\n cat ") == tokenizer("cat cat") == pad("cat</w>", "cat</w>")


def test_contractions_punctuation_and_digits_are_words_of_their_own(tokenizer):
    assert tokenizer("cat's, 11") == pad("cat</w>", "'s</w>", ",</w>", "1</w>", "1</w>")


def test_a_letter_beyond_ascii_is_its_bytes_composed_or_not(tokenizer):
    assert tokenizer("é") == tokenizer("e\u0301") == pad("Ã", "©</w>")


def test_a_long_text_is_cut_and_keeps_its_end_mark(tokenizer):
    tokens = tokenizer("cat " * 50)
    assert len(tokens) == 8
    assert tokens == ["<start_of_text>"] + ["cat</w>"] * 6 + ["<end_of_text>"]


def test_an_empty_text_is_two_marks(tokenizer):
    assert tokenizer("") == pad()


def test_another_kind_of_tokenizer_is_refused():
    with pytest.raises(ValueError, match="is not CLIP's byte-pair tokenizer"):
        make_tokenizer(object(), 77)
