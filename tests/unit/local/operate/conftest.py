"""AWS as moto plays it, and an environment to deploy."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from local.operate.environments import Environment
from local.operate.stacks import Clients
from local.operate.templates import TEMPLATE, read_template

REGION = "us-east-1"


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    # One for all tests: reading the services' models is most of the time of making a client.
    return boto3.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION
    )


@pytest.fixture
def aws(session: boto3.Session) -> Iterator[Clients]:
    """Clients of a fresh account."""
    with mock_aws():
        yield session.client


@pytest.fixture(scope="session")
def defaults() -> dict[str, str]:
    """Every template parameter with its default."""
    declared = read_template(TEMPLATE)["Parameters"]
    return {name: str(one.get("Default", "")) for name, one in declared.items()}


@pytest.fixture
def environment(defaults: dict[str, str]) -> Environment:
    return Environment(
        name="dev", region=REGION, stack_name="screener-dev", parameters=dict(defaults)
    )
