"""A policy by its path, its S3 address or a preset's name."""

from pathlib import Path

from botocore.exceptions import ClientError

from screener import aws
from screener.errors import InvalidPolicy
from screener.policy.loading import Preset, load_preset, parse_policy
from screener.policy.model import Policy
from screener.storage import S3Location


def read_policy(name: str) -> Policy:
    """Read a policy.

    Args:
        name: "strict", "balanced" or "permissive", a path, or an `s3://` address.

    Raises:
        InvalidPolicy: there is none, or it cannot be used; one line per problem.
    """
    if name in set(Preset):
        return load_preset(Preset(name))
    return parse_policy(policy_bytes(name), name)


def policy_bytes(name: str) -> bytes:
    """The file at a path or an `s3://` address.

    Raises:
        InvalidPolicy: there is none.
    """
    try:
        if name.startswith("s3://"):
            location = S3Location.parse(name)
            with aws.s3().get_object(Bucket=location.bucket, Key=location.key)["Body"] as body:
                return body.read()
        return Path(name).read_bytes()
    except (OSError, ClientError, ValueError) as cause:
        presets = ", ".join(Preset)
        # An OSError repeats number and path.
        why = getattr(cause, "strerror", None) or cause
        raise InvalidPolicy(f"{name}: {why} (presets: {presets})") from cause
