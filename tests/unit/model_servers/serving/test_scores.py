import numpy as np

from model_servers.serving.scores import round_score


def test_scores_stay_inside_their_range_whatever_rounding_does() -> None:
    assert round_score(1.0000001) == 1.0
    assert round_score(-1e-9) == 0.0
    assert round_score(np.float32(0.123456)) == 0.1235
