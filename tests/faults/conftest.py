from collections.abc import Iterator

import pytest

from tests.async_inference.fixtures import bench, s3
from tests.faults.faulty_aws import FaultyAws, serve
from tests.faults.scripted_stack import ScriptedStack, scripted_stack

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


@pytest.fixture(scope="session")
def one_scripted_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedStack]:
    with scripted_stack(
        tmp_path_factory.mktemp("scripted"), {"InvocationTimeoutSeconds": "4"}
    ) as stack:
        yield stack


@pytest.fixture
def scripted(one_scripted_stack: ScriptedStack) -> Iterator[ScriptedStack]:
    """A whole stack with scripted model servers; works again after each test."""
    yield one_scripted_stack
    one_scripted_stack.heal()
