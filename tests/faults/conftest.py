from collections.abc import Iterator

import pytest

from tests.async_inference.fixtures import bench, s3
from tests.faults.faulty_aws import FaultyAws, serve

__all__ = ["bench", "s3"]


@pytest.fixture(scope="session")
def faulty_aws() -> FaultyAws:
    return FaultyAws()


@pytest.fixture(scope="session")
def aws_url(faulty_aws: FaultyAws) -> Iterator[str]:
    with serve(faulty_aws) as url:
        yield url


@pytest.fixture(autouse=True)
def healed(faulty_aws: FaultyAws) -> Iterator[None]:
    yield
    faulty_aws.heal()
