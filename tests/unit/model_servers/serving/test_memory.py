from collections.abc import Sequence

import pytest

from model_servers.serving.errors import OutOfMemory
from model_servers.serving.memory import FittingBatches


class Device:
    """Doubles numbers, and has memory for so many at once."""

    def __init__(self, capacity: int, error: type[Exception] = RuntimeError) -> None:
        self.capacity = capacity
        self.error = error
        self.sizes: list[int] = []

    def predict(self, batch: Sequence[int]) -> list[int]:
        self.sizes.append(len(batch))
        if len(batch) > self.capacity:
            raise self.error("CUDA failure 2: out of memory")
        return [2 * number for number in batch]


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    device = Device(capacity=3)
    batches = FittingBatches(10, fixed=False)
    assert batches.run(device.predict, range(10)) == [2 * number for number in range(10)]
    assert device.sizes == [10, 5, 2, 2, 2, 2, 2]


def test_what_did_not_fit_once_is_not_tried_again() -> None:
    device = Device(capacity=4)
    batches = FittingBatches(8, fixed=False)
    batches.run(device.predict, range(8))
    device.sizes.clear()
    assert batches.run(device.predict, range(8)) == [2 * number for number in range(8)]
    assert device.sizes == [4, 4]


def test_fixed_batches_all_have_one_size_and_give_no_result_too_many() -> None:
    device = Device(capacity=5)
    batches = FittingBatches(8, fixed=True)
    for count in (3, 8, 1, 0):
        assert batches.run(device.predict, range(count)) == [2 * n for n in range(count)]
    assert device.sizes == [8, 4, 4, 4, 4]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, Exception])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_single_input_that_does_not_fit_is_an_error_of_its_own(
    error: type[Exception], fixed: bool
) -> None:
    device = Device(capacity=0, error=error)
    with pytest.raises(OutOfMemory, match="not even one"):
        FittingBatches(2, fixed=fixed).run(device.predict, [1, 2])


def test_other_errors_are_not_tried_again() -> None:
    calls = []

    def broken(batch: Sequence[int]) -> list[int]:
        calls.append(len(batch))
        raise ValueError("wrong shape")

    with pytest.raises(ValueError, match="wrong shape"):
        FittingBatches(3, fixed=False).run(broken, [1, 2, 3])
    assert calls == [3]
