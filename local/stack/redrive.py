"""Redrive for moto's Step Functions, as AWS documents it.

A failed, aborted or timed-out execution goes on under its own ARN, name and input: at the
state that did not succeed, with that state's original input, retries and timeouts fresh,
`$$.Execution.RedriveCount` one higher, and its history continued by an ExecutionRedriven event.

One difference: AWS runs only the failed items of a Map again, here the Map starts over. What
its items have stored already makes that cheap.

moto's interpreter has no such operation. This builds on three of its classes that have no
public interface, and that are annotated only in part: hence `Any`.
`tests/unit/local/stack/test_redrive.py` fails should they change.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.stepfunctions.parser.api import ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.flow.start_at import StartAt
from moto.stepfunctions.parser.asl.eval.evaluation_details import EvaluationDetails
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from screener.errors import ScreenerError

REDRIVABLE_FOR = timedelta(days=14)
MAX_HISTORY_EVENTS = 24_999
"""A history of this length has no room for another run."""

_UNFINISHED = (ExecutionStatus.FAILED, ExecutionStatus.ABORTED, ExecutionStatus.TIMED_OUT)


class RedriveRefused(ScreenerError):
    """An execution that cannot be redriven; `code` is Step Functions' name for the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Redrive:
    """The latest redrive of one execution."""

    count: int
    date: datetime
    client_token: str | None


class Redrives:
    """Redrives executions of one moto backend, and tells which have been.

    Args:
        backend: moto's, with the interpreter.
    """

    def __init__(self, backend: StepFunctionsParserBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._redrives: dict[str, Redrive] = {}

    def redrive(self, execution_arn: str, client_token: str | None = None) -> datetime:
        """Continue an execution.

        Returns:
            When it was redriven; for a repeated `client_token`, when it was the first time.

        Raises:
            RedriveRefused: there is no such execution, or it cannot be redriven now.
        """
        with self._lock:
            execution = self._find(execution_arn)
            last = self._redrives.get(execution_arn)
            if last and client_token and last.client_token == client_token:
                return last.date
            reason = _why_not(execution)
            if reason:
                raise RedriveRefused("ExecutionNotRedrivable", f"{execution_arn}: {reason}")
            count = last.count + 1 if last else 1
            redrive = Redrive(count, datetime.now(UTC), client_token)
            self._redrives[execution_arn] = redrive
            _continue(execution, count)
            return redrive.date

    def describe(self, execution_arn: str) -> dict[str, Any]:
        """The fields that redrives add to DescribeExecution; empty for an unknown execution."""
        try:
            reason = _why_not(self._find(execution_arn))
        except RedriveRefused:
            return {}
        status: dict[str, Any] = (
            {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
            if reason
            else {"redriveStatus": "REDRIVABLE"}
        )
        return {**self.list_item(execution_arn), **status}

    def list_item(self, execution_arn: str) -> dict[str, Any]:
        """The fields that redrives add to an item of ListExecutions."""
        last = self._redrives.get(execution_arn)
        if last is None:
            return {"redriveCount": 0}
        return {"redriveCount": last.count, "redriveDate": last.date.timestamp()}

    def _find(self, execution_arn: str) -> Any:
        for machine in self._backend.state_machines:
            for execution in machine.executions:
                if execution.execution_arn == execution_arn:
                    return execution
        raise RedriveRefused(
            "ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution_arn}'"
        )


def _why_not(execution: Any) -> str | None:
    if execution.exec_status not in _UNFINISHED:
        return f"an execution that is {execution.status} cannot be redriven"
    if execution.exec_worker.env is None:
        return "it never entered a state"
    if datetime.now(UTC) - execution.stop_date > REDRIVABLE_FOR:
        return f"it ended more than {REDRIVABLE_FOR.days} days ago"
    events = len(execution.exec_worker.env.event_manager.get_event_history())
    if events >= MAX_HISTORY_EVENTS:
        return f"its history has {events} events"
    return None


def _continue(execution: Any, count: int) -> None:
    worker: Any = _RedriveWorker(execution, count)
    execution.exec_worker = worker
    execution.exec_status = ExecutionStatus.RUNNING
    execution.stop_date = execution.error = execution.cause = None
    worker.start()


class _RedriveWorker(ExecutionWorker):
    """Runs an execution again from the state where its last run ended."""

    env: Any

    def __init__(self, execution: Any, count: int) -> None:
        super().__init__(
            evaluation_details=EvaluationDetails(
                aws_execution_details=execution._get_start_aws_execution_details(),
                execution_details=execution.get_start_execution_details(),
                state_machine_details=execution.get_start_state_machine_details(),
            ),
            exec_comm=BaseExecutionWorkerCommunication(execution),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        self._count = count
        self._history = execution.exec_worker.env.event_manager
        definition = json.loads(execution.state_machine.definition)
        self._state, self._input = _last_entered(
            self._history.get_event_history(), definition, execution.input_data
        )
        # Readers of the history may come before the thread has begun.
        self.env = self._get_evaluation_environment()

    def _get_evaluation_entrypoint(self) -> Any:
        program: Any = super()._get_evaluation_entrypoint()
        program.start_at = StartAt(self._state)
        return program

    def _get_evaluation_environment(self) -> Any:
        environment: Any = super()._get_evaluation_environment()
        environment.event_manager = self._history
        environment.states.context_object.context_object_data["Execution"]["RedriveCount"] = (
            self._count
        )
        environment.states.reset(self._input)
        return environment

    def _execution_logic(self) -> None:
        self.env.event_manager.add_event(
            context=self.env.event_history_context,
            event_type=HistoryEventType.ExecutionRedriven,
            event_details={"executionRedrivenEventDetails": {"redriveCount": self._count}},
            update_source_event_id=False,
        )
        self._get_evaluation_entrypoint().eval(self.env)
        self._execution_communication.terminated()


def _last_entered(
    events: list[Mapping[str, Any]], definition: Mapping[str, Any], execution_input: Any
) -> tuple[str, Any]:
    """Name and input of the state in which a run ended: no state outside of a map is entered
    before the one before it has succeeded. The start of the machine when none was entered."""
    for event in reversed(events):
        entered = event.get("stateEnteredEventDetails")
        if entered is not None and entered["name"] in definition["States"]:
            return entered["name"], json.loads(entered["input"])
    return definition["StartAt"], execution_input
