"""The `--sampling` option of several commands."""

from pydantic import ValidationError

from local.runs.screening import NotAcceptable
from screener.sampling import Sampling


def parse_sampling(text: str) -> Sampling:
    """A sampling from JSON.

    Raises:
        NotAcceptable: names each field that is wrong, and what was expected.
    """
    try:
        return Sampling.model_validate_json(text)
    except ValidationError as cause:
        problems = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'JSON'}: {error['msg']}"
            for error in cause.errors()
        )
        raise NotAcceptable(f"--sampling: {problems}") from cause
