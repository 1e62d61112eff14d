import base64

import numpy as np
import pytest

from screener.observations import decode_embedding, decode_embeddings, encode_embedding


def test_an_embedding_survives_as_float16():
    vector = np.random.default_rng(1).normal(size=512)
    vector /= np.linalg.norm(vector)
    decoded = decode_embedding(encode_embedding(vector))
    assert decoded.shape == (512,)
    assert float(decoded @ vector) > 0.9999


@pytest.mark.parametrize("text", ["é", "a", base64.b64encode(b"odd").decode()])
def test_something_else_than_an_embedding_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - base64 and numpy raise their own kinds
        decode_embedding(text)


def test_many_embeddings_are_those_that_each_text_gives():
    vectors = np.random.default_rng(2).normal(size=(5, 32))
    texts = [encode_embedding(vector) for vector in vectors]
    together = decode_embeddings(texts, 32)
    assert together.dtype == np.float32
    assert np.array_equal(together, np.stack([decode_embedding(text) for text in texts]))


def test_no_embeddings_are_none_of_their_size():
    assert decode_embeddings([], 32).shape == (0, 32)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("é", "ASCII"),
        ("a", "base64"),
        ("AA!A", "base64"),
        (base64.b64encode(b"odd").decode(), "1.5 values instead of 4"),
        (encode_embedding(np.zeros(3)), "3 values instead of 4"),
        (encode_embedding(np.zeros(5)), "5 values instead of 4"),
    ],
)
def test_one_bad_embedding_among_many_is_refused(text, why):
    good = encode_embedding(np.zeros(4))
    with pytest.raises(ValueError, match=why):
        decode_embeddings([good, text, good], 4)
