"""A deployed stack on AWS: clients in its region, its outputs."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

from screener.errors import ConfigurationError

Clients = Callable[[str], Any]
"""Service name -> boto3 client: the seam for tests."""


def clients_in(region: str | None) -> Clients:
    """Clients of the user's own credentials; None takes the configured region."""
    session = boto3.Session(region_name=region)

    def client(service: str) -> Any:
        return session.client(service)  # type: ignore[call-overload]

    return client


def stack_outputs(cloudformation: Any, name: str) -> dict[str, str]:
    """Outputs by name.

    Raises:
        ConfigurationError: there is no such stack.
        ClientError: CloudFormation refuses for another reason.
    """
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            raise ConfigurationError(f"no stack {name!r} in this account and region") from error
        raise
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
