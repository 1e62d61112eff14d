import base64

import numpy as np
import pytest

from screener.observations import decode_embedding, encode_embedding


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
