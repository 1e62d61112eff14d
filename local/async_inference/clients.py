"""AWS clients that reach the local stack and nothing else."""

import threading
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
    # Path style: the endpoint has no wildcard names.
    s3={"addressing_style": "path"},
    # Not None: the user's HTTP_PROXY is for the world, not for a port of this machine.
    proxies={},
)
# One session for all: each reads every service's description from disk once, a tenth of a
# second. Sessions must not be used by two threads at a time; clients may.
_MAKING = threading.Lock()


def local_client(service: str, *, endpoint_url: str, region: str) -> Any:
    """A client with credentials of no account: those that the user has must not be sent.

    `Any`, because the type depends on the value of `service`; callers annotate what they get.
    """
    with _MAKING:
        return _session(region).client(service, endpoint_url=endpoint_url, config=_CONFIG)  # type: ignore[call-overload]


@cache
def _session(region: str) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - of no account
        region_name=region,
    )
