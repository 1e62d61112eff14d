"""AwaitRedrive: fails the execution visibly until an operator presses Redrive."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from screener.errors import IncompleteAnalysis
from screener.messages import Redriven, RedriveTask

logger = Logger()


def await_redrive(task: RedriveTask) -> Redriven:
    """Pass once the execution was redriven after the plan that left analyses missing.

    Raises:
        IncompleteAnalysis: names what is missing, where the partial document is, what to do.
    """
    if task.execution.RedriveCount > task.plan.redrive_count:
        return Redriven(redrive_count=task.execution.RedriveCount)
    missing = "; ".join(f"{name}: {why}" for name, why in task.result.failed.items())
    raise IncompleteAnalysis(
        f"missing: {missing}. The partial document is {task.result.document}. Mend the cause, "
        "then press Redrive (or start a new execution with the same input): only what is "
        "missing runs again."
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`RedriveTask` -> `Redriven`."""
    return await_redrive(RedriveTask.model_validate(event)).model_dump(mode="json")
