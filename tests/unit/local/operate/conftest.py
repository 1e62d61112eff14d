"""AWS as moto plays it, and an environment to deploy."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from local.operate.environments import Environment
from local.operate.stacks import Clients
from local.operate.templates import TEMPLATE, read_template

REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients of a fresh account."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session(region_name=REGION).client


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
