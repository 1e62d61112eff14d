"""Lambda functions that a gateway can tell apart."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from local.lambda_runtime.service import FunctionSpec, LambdaService


class NamedCallers(LambdaService):
    """Lambda, with a function's name as its access key."""

    def __init__(self, functions: Iterable[FunctionSpec], log_dir: Path) -> None:
        super().__init__(
            [
                replace(spec, environment={**spec.environment, "AWS_ACCESS_KEY_ID": spec.name})
                for spec in functions
            ],
            log_dir,
        )
