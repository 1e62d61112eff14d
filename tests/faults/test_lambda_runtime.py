"""Functions under random faults: every invocation gets its own result, and nothing is left."""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.lambda_runtime.errors import TooManyRequests
from local.lambda_runtime.service import FunctionSpec, InvokeResult, LambdaService
from tests.conftest import REPOSITORY

DEPLOYED = REPOSITORY / "tests" / "unit" / "local" / "lambda_runtime" / "deployed"
CONCURRENCY = 3
TIMEOUT_SECONDS = 1.0
SEED = int(os.environ.get("SCREENER_FAULT_SEED", "20261123"))

# handler, event, and the error type that must come of it (None: the function's value).
KINDS: list[tuple[str, dict[str, Any], str | None]] = [
    ("echo", {"n": 0}, None),
    ("refuse", {}, "InvalidVideo"),
    ("exit_with", {"status": 1}, "Runtime.ExitError"),
    ("kill_itself", {}, "Runtime.ExitError"),
    ("sleep", {"seconds": 60}, "Sandbox.Timedout"),
    ("answer_size", {"bytes": 7 << 20}, "Function.ResponseSizeTooLarge"),
]
WEIGHTS = [20, 6, 3, 3, 1, 2]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LambdaService]:
    service = LambdaService(
        [
            FunctionSpec(
                name, f"sample.{name}", DEPLOYED, TIMEOUT_SECONDS, 512, {}, concurrency=CONCURRENCY
            )
            for name, _, _ in KINDS
        ],
        tmp_path,
    )
    yield service
    service.close()


def invoke_until_taken(service: LambdaService, name: str, event: dict[str, Any]) -> InvokeResult:
    while True:
        try:
            return service.invoke(name, json.dumps(event).encode())
        except TooManyRequests:
            time.sleep(0.02)


# Its functions have a second each, and one sends six megabytes in that.
@pytest.mark.alone
def test_every_invocation_gets_its_own_result_under_random_faults(service: LambdaService) -> None:
    chance = random.Random(SEED)
    calls = [
        (name, event | {"n": number}, expected)
        for number, (name, event, expected) in enumerate(chance.choices(KINDS, WEIGHTS, k=200))
    ]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda call: invoke_until_taken(service, call[0], call[1]), calls))
    seen: Counter[str] = Counter()
    for (name, event, expected), result in zip(calls, results, strict=True):
        body = json.loads(result.payload)
        if expected is None:
            assert result.function_error is None, (SEED, body)
            assert body["event"] == event, SEED
        else:
            assert result.function_error == "Unhandled", SEED
            assert body["errorType"] == expected, (SEED, name, body)
        seen[name] += 1
    assert set(seen) == {name for name, _, _ in KINDS}, "some kind of fault was not tried"


def test_nothing_is_left_of_environments_that_failed(service: LambdaService) -> None:
    for name, event, expected in KINDS:
        if expected:
            invoke_until_taken(service, name, event)
    service.close()
    assert children_of_this_process() == []


def children_of_this_process() -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if parent == os.getpid() and "awslambdaric" in command:
            found.append(command)
    return found
