import pytest

from screener import identity
from screener.sampling import Sampling, SamplingStrategy


@pytest.mark.parametrize("strategy", [SamplingStrategy.ADAPTIVE, SamplingStrategy.SCENE_CHANGE])
def test_frames_chosen_by_an_older_measure_are_not_taken_for_those_of_this_one(strategy):
    sampling = Sampling(strategy=strategy)
    assert sampling.sampling_id != identity.sampling_id(sampling.model_dump(mode="json"))


@pytest.mark.parametrize("strategy", [SamplingStrategy.FIXED_RATE, SamplingStrategy.KEY_FRAMES])
def test_the_measure_is_no_part_of_samplings_that_compare_nothing(strategy):
    sampling = Sampling(strategy=strategy)
    assert sampling.sampling_id == identity.sampling_id(sampling.model_dump(mode="json"))


def test_every_parameter_is_part_of_the_id():
    changes = {
        "frames_per_second": 2.0, "change_threshold": 9.0, "max_gap_ms": 500,
        "frame_max_side_px": 640, "jpeg_quality": 5, "audio_language": "en",
    }  # fmt: skip
    assert {"strategy", *changes} == set(Sampling.model_fields)
    ids = {Sampling(strategy=strategy).sampling_id for strategy in SamplingStrategy}
    ids |= {Sampling(**{name: value}).sampling_id for name, value in changes.items()}
    assert len(ids) == len(SamplingStrategy) + len(changes)
