"""Where an execution stands, read from its history."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from screener.messages import (
    AnalysisItem,
    AnalysisPlan,
    AnalysisStatus,
    AnalysisSummary,
    DocumentWritten,
)
from screener.model import Message
from screener.observations import Analyzer

ENDED_STATUSES = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


class StepStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Step(Message):
    """One state of the walk, outside the map of analyses."""

    name: str
    started_at: datetime
    ended_at: datetime | None = None
    status: StepStatus = StepStatus.RUNNING
    retries: int = 0


class AnalysisRun(Message):
    """One inference request: an analyzer on one chunk."""

    analyzer: Analyzer
    chunk: int
    started_at: datetime
    ended_at: datetime | None = None
    status: AnalysisStatus | None = None
    """None while it runs."""
    error: str | None = None
    polls: int = 0


class RunProgress(Message):
    """An execution as its history tells it."""

    steps: list[Step]
    analyses: list[AnalysisRun]
    plan: dict[Analyzer, AnalysisSummary] | None = None
    """What PlanAnalyses decided for each analyzer; None before that."""
    result: DocumentWritten | None = None
    """What AggregateResults or RejectVideo wrote; None before that."""
    transitions: int = 0
    """States entered: what Step Functions counts as state transitions."""


def read_progress(events: Iterable[Mapping[str, Any]]) -> RunProgress:
    """Progress from the events of GetExecutionHistory, oldest first."""
    reader = _Reader()
    for event in events:
        reader.read(event)
    return reader.progress()


class _Reader:
    """Keeps what the events so far say. A state entered again (a redrive) starts anew."""

    def __init__(self) -> None:
        self._steps: dict[str, dict[str, Any]] = {}
        self._analyses: dict[tuple[Analyzer, int], dict[str, Any]] = {}
        self._plan: dict[Analyzer, AnalysisSummary] | None = None
        self._result: DocumentWritten | None = None
        self._transitions = 0
        self._latest: str | None = None

    def progress(self) -> RunProgress:
        return RunProgress(
            steps=[Step.model_validate(step) for step in self._steps.values()],
            analyses=[AnalysisRun.model_validate(one) for one in self._analyses.values()],
            plan=self._plan,
            result=self._result,
            transitions=self._transitions,
        )

    def read(self, event: Mapping[str, Any]) -> None:
        kind: str = event["type"]
        if kind.endswith("StateEntered"):
            self._transitions += 1
            self._entered(event["stateEnteredEventDetails"], event["timestamp"])
        elif kind.endswith("StateExited"):
            self._exited(event["stateExitedEventDetails"], event["timestamp"])
        elif kind in ("LambdaFunctionFailed", "TaskFailed", "LambdaFunctionTimedOut"):
            self._failed()
        elif kind in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"):
            self._stopped(event["timestamp"])

    def _entered(self, details: Mapping[str, Any], at: datetime) -> None:
        name = details["name"]
        item = _item_of(details.get("input"))
        if item is None:
            if name not in self._steps or self._steps[name]["ended_at"] is not None:
                self._steps.pop(name, None)
                self._steps[name] = {"name": name, "started_at": at, "ended_at": None}
            self._latest = name
            return
        key = (item.analyzer, item.chunk)
        if name == "StartAnalysis":
            self._analyses[key] = {
                "analyzer": item.analyzer,
                "chunk": item.chunk,
                "started_at": at,
                "polls": 0,
            }
        elif name == "CollectResult" and key in self._analyses:
            self._analyses[key]["polls"] += 1

    def _exited(self, details: Mapping[str, Any], at: datetime) -> None:
        name = details["name"]
        output = _parse(details.get("output"))
        if name in self._steps:
            self._steps[name] |= {"ended_at": at, "status": StepStatus.DONE}
        if not isinstance(output, dict):
            return
        if name == "PlanAnalyses":
            self._plan = AnalysisPlan.model_validate(output["plan"]).analyses
        elif name in ("AggregateResults", "RejectVideo"):
            self._result = DocumentWritten.model_validate(output["result"])
        elif name in ("AnalysisEnded", "AnalysisErrored"):
            run = self._analyses.get((Analyzer(output["analyzer"]), output["chunk"]))
            if run is not None:
                run |= {
                    "ended_at": at,
                    "status": AnalysisStatus(output["status"]),
                    "error": _error_text(output.get("error")),
                }

    def _failed(self) -> None:
        # The history does not say which state of a map an event belongs to; outside of the maps
        # there is only one state at a time.
        if self._latest in self._steps and self._steps[self._latest]["ended_at"] is None:
            step = self._steps[self._latest]
            step["retries"] = step.get("retries", 0) + 1

    def _stopped(self, at: datetime) -> None:
        for step in self._steps.values():
            if step["ended_at"] is None:
                step |= {"ended_at": at, "status": StepStatus.FAILED}


def _item_of(state_input: str | None) -> AnalysisItem | None:
    state = _parse(state_input)
    if isinstance(state, dict) and isinstance(state.get("item"), dict):
        return AnalysisItem.model_validate(state["item"])
    return None


def _parse(text: str | None) -> Any:
    return json.loads(text) if text else None


def _error_text(error: Any) -> str | None:
    if not isinstance(error, dict):
        return None
    name = error.get("type") or error.get("Error")
    message = error.get("message") or error.get("Cause") or ""
    return f"{name}: {message}"
