"""Execution histories as GetExecutionHistory gives them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class History:
    """Collects events, one second apart."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, **details: Any) -> None:
        at = BEGIN + timedelta(seconds=len(self.events))
        self.events.append({"type": kind, "timestamp": at, **details})

    def enter(self, name: str, state: Any = None, kind: str = "Task") -> None:
        details = {"name": name, "input": json.dumps(state or {})}
        self.add(f"{kind}StateEntered", stateEnteredEventDetails=details)

    def leave(self, name: str, output: Any = None, kind: str = "Task") -> None:
        details = {"name": name, "output": json.dumps(output or {})}
        self.add(f"{kind}StateExited", stateExitedEventDetails=details)


def item(analyzer: str, chunk: int = 0) -> dict[str, Any]:
    """The state inside AnalyzeMedia."""
    return {
        "item": {
            "analyzer": analyzer,
            "chunk": chunk,
            "endpoint_name": analyzer,
            "input_location": "s3://b/k",
            "content_type": "application/x-tar",
            "custom_attributes": "{}",
            "inference_id": "i",
            "observation_key": "o",
            "request_ttl_seconds": 60,
            "invocation_timeout_seconds": 60,
            "poll_growth": 0.1,
        }
    }


def summary(status: str, reason: str | None = None) -> dict[str, Any]:
    return {"status": status, "reason": reason, "observation_keys": [], "reused": False}


def result(status: str, decision: str, redrivable: bool = False) -> dict[str, Any]:
    return {
        "document": "s3://media/uploads/a.moderation.json",
        "status": status,
        "decision": decision,
        "redrivable": redrivable,
    }


def partial_run() -> History:
    """Faces fail, moderation succeeds after a poll, objects are not deployed, then AwaitRedrive."""
    history = History()
    history.enter("ValidateVideo")
    history.add("LambdaFunctionFailed")
    history.leave("ValidateVideo")
    history.enter("PlanAnalyses")
    analyses = {
        "moderation": summary("run"),
        "faces": summary("run"),
        "objects": summary("not_deployed", "no pack"),
    }
    plan = {"items": [], "analyses": analyses, "redrive_count": 0}
    history.leave("PlanAnalyses", {"plan": plan})
    history.enter("AnalyzeMedia", kind="Map")
    for name in ("moderation", "faces"):
        history.enter("StartAnalysis", item(name))
    history.enter("CollectResult", item("moderation"))
    failed = {"type": "EndpointFailure", "message": "no memory"}
    history.enter("AnalysisEnded", item("faces"), kind="Pass")
    outcome = {"analyzer": "faces", "chunk": 0, "status": "failed", "error": failed}
    history.leave("AnalysisEnded", outcome, kind="Pass")
    outcome = {"analyzer": "moderation", "chunk": 0, "status": "succeeded", "error": None}
    history.leave("AnalysisEnded", outcome, kind="Pass")
    history.leave("AnalyzeMedia", kind="Map")
    history.enter("AggregateResults")
    history.leave("AggregateResults", {"result": result("partial", "review", redrivable=True)})
    history.enter("AwaitRedrive")
    history.add("LambdaFunctionFailed")
    history.add("ExecutionFailed")
    return history
