"""The service with real `awslambdaric` processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.lambda_runtime import environment as environment_module
from local.lambda_runtime.errors import (
    FunctionNotFound,
    InvalidRequestContent,
    RequestTooLarge,
    ServiceFailed,
    TooManyRequests,
)
from local.lambda_runtime.service import FunctionSpec, InvokeResult, LambdaService

DEPLOYED = Path(__file__).parent / "deployed"
MEBIBYTE = 1 << 20

Deploy = Callable[..., LambdaService]


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Start a service with one function per handler name, all with the same limits."""
    services: list[LambdaService] = []

    def start(*handlers: str, idle_seconds: float = 120, **limits: Any) -> LambdaService:
        settings: dict[str, Any] = {"timeout_seconds": 20, "memory_mb": 512, "environment": {}}
        specs = [
            FunctionSpec(
                name=handler.rpartition(".")[2],
                handler=handler if "." in handler else f"sample.{handler}",
                root=DEPLOYED,
                **(settings | limits),
            )
            for handler in handlers
        ]
        services.append(LambdaService(specs, tmp_path / "logs", idle_seconds=idle_seconds))
        return services[-1]

    yield start
    for service in services:
        service.close()


def call(service: LambdaService, name: str, event: object = None) -> InvokeResult:
    return service.invoke(name, json.dumps({} if event is None else event).encode())


def value(result: InvokeResult) -> Any:
    assert result.function_error is None, result.payload
    return json.loads(result.payload)


def error(result: InvokeResult) -> dict[str, Any]:
    assert result.function_error == "Unhandled"
    return json.loads(result.payload)


def is_running(pid: int) -> bool:
    try:
        # A zombie has ended; only its parent (init, for an orphan) has not noticed yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_an_environment_is_reused(deploy: Deploy) -> None:
    service = deploy("echo")
    first = value(call(service, "echo", {"text": "grüße"}))
    second = value(call(service, "echo", [1]))
    assert first["event"] == {"text": "grüße"}
    assert second == {"event": [1], "pid": first["pid"]}


@pytest.mark.alone
def test_a_warm_invocation_takes_less_than_3_ms(deploy: Deploy) -> None:
    service = deploy("echo")
    call(service, "echo")
    times = []
    for _ in range(50):
        began = time.perf_counter()
        call(service, "echo")
        times.append(time.perf_counter() - began)
    # The fastest quarter: the test machine may be busy with other things.
    assert sorted(times)[12] < 0.003


def test_an_empty_payload_is_an_empty_object(deploy: Deploy) -> None:
    assert value(deploy("echo").invoke("echo", b""))["event"] == {}


def test_context_and_environment_are_those_of_lambda(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the user")
    service = deploy(
        "describe", environment={"WORK_BUCKET": "work", "AWS_REGION": "eu-west-1"}, memory_mb=300
    )
    seen = value(call(service, "describe"))
    assert 19_000 < seen["remaining_ms"] <= 20_000
    assert seen["arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:describe"
    assert seen["memory_mb"] == "300"
    variables = seen["environment"]
    assert variables["WORK_BUCKET"] == "work"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "describe"
    assert variables["LAMBDA_TASK_ROOT"] == seen["folder"] == str(DEPLOYED)
    assert "AWS_SECRET_ACCESS_KEY" not in variables


def test_an_exception_becomes_its_class_name_and_message(deploy: Deploy) -> None:
    service = deploy("refuse", "echo")
    failure = error(call(service, "refuse"))
    assert failure["errorType"] == "InvalidVideo"
    assert failure["errorMessage"] == '{"code": "truncated"}'
    assert "raise InvalidVideo" in "".join(failure["stackTrace"])


def test_a_timeout_ends_the_environment_and_everything_it_started(deploy: Deploy) -> None:
    service = deploy("leave_child", timeout_seconds=1)
    threads = threading.active_count()
    began = time.monotonic()
    failure = error(call(service, "leave_child", {"seconds": 60}))
    assert 1 <= time.monotonic() - began < 4
    assert failure["errorType"] == "Sandbox.Timedout"
    assert failure["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert eventually(lambda: threading.active_count() <= threads)
    child = value(call(service, "leave_child"))
    assert is_running(child)
    service.close()
    assert eventually(lambda: not is_running(child))


@pytest.mark.parametrize(
    ("handler", "event", "reason"),
    [
        ("exit_with", {"status": 3}, "Runtime exited with error: exit status 3"),
        ("exit_with", {"status": 0}, "Runtime exited without providing a reason"),
        ("kill_itself", {}, "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_crash_is_reported_and_the_next_invocation_gets_a_fresh_environment(
    deploy: Deploy, handler: str, event: dict[str, int], reason: str
) -> None:
    service = deploy(handler, concurrency=1)
    for _ in range(2):
        failure = error(call(service, handler, event))
        assert failure["errorType"] == "Runtime.ExitError"
        assert failure["errorMessage"].endswith(reason)


def test_a_crash_between_invocations_costs_no_invocation(deploy: Deploy) -> None:
    service = deploy("own_process", concurrency=1)
    first = value(call(service, "own_process"))
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not is_running(first))
    assert value(call(service, "own_process")) != first


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("absent.handler", "Runtime.ImportModuleError", "No module named 'absent'"),
        ("sample.absent", "Runtime.HandlerNotFound", "Handler 'absent' missing"),
        ("exits_on_import.handler", "Runtime.ExitError", "exit status 7"),
    ],
)
def test_a_function_that_cannot_load_says_why(
    deploy: Deploy, handler: str, error_type: str, message: str
) -> None:
    service = deploy(handler)
    failure = error(call(service, handler.rpartition(".")[2]))
    assert failure["errorType"] == error_type
    assert message in failure["errorMessage"]


def test_a_function_that_hangs_while_loading_times_out(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_module, "INIT_SECONDS", 0.3)
    service = deploy("hangs_on_import.handler", timeout_seconds=0.5)
    assert error(call(service, "handler"))["errorType"] == "Sandbox.Timedout"


def test_memory_above_the_size_ends_the_environment(deploy: Deploy, tmp_path: Path) -> None:
    service = deploy("allocate", memory_mb=128)
    assert value(call(service, "allocate", {"bytes": 10 * MEBIBYTE})) == 10 * MEBIBYTE
    failure = error(call(service, "allocate", {"bytes": 256 * MEBIBYTE, "hold_seconds": 30}))
    assert failure["errorMessage"].endswith("signal: killed")
    assert "128 MB allowed" in (tmp_path / "logs" / "allocate.log").read_text()


def test_the_response_limit_is_exact(deploy: Deploy) -> None:
    service = deploy("answer_size")
    limit = 6 * MEBIBYTE + 100
    assert len(call(service, "answer_size", {"bytes": limit}).payload) == limit
    failure = error(call(service, "answer_size", {"bytes": limit + 1}))
    assert failure["errorType"] == "Function.ResponseSizeTooLarge"
    assert value(call(service, "answer_size", {"bytes": 3})) == "x"


def test_requests_that_never_reach_a_function(deploy: Deploy) -> None:
    service = deploy("echo")
    with pytest.raises(FunctionNotFound, match="nobody"):
        service.invoke("nobody", b"{}")
    with pytest.raises(RequestTooLarge, match="6291457"):
        service.invoke("echo", b'"' + b"x" * (6 * MEBIBYTE - 1) + b'"')
    with pytest.raises(InvalidRequestContent):
        service.invoke("echo", b"{")
    with pytest.raises(InvalidRequestContent):
        service.invoke("echo", b'"\xff"')


def test_beyond_its_concurrency_a_function_is_throttled_and_recovers(deploy: Deploy) -> None:
    service = deploy("sleep", concurrency=2)
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(call, service, "sleep", {"seconds": 1.5}) for _ in range(2)]
        time.sleep(0.5)
        with pytest.raises(TooManyRequests, match="2 at a time"):
            call(service, "sleep", {"seconds": 0})
        pids = {value(future.result()) for future in running}
    assert len(pids) == 2
    assert value(call(service, "sleep", {"seconds": 0})) in pids


def test_an_idle_environment_is_ended_with_its_files(deploy: Deploy, tmp_path: Path) -> None:
    service = deploy("leave_file", idle_seconds=0.1)
    left = Path(value(call(service, "leave_file")))
    assert eventually(lambda: not left.exists())
    assert value(call(service, "leave_file")) != str(left)
    log = (tmp_path / "logs" / "leave_file.log").read_text()
    assert "wrote a file" in log
    assert log.count("START RequestId") == log.count("REPORT RequestId") == 2


def test_close_fails_what_is_running_and_refuses_what_comes(deploy: Deploy) -> None:
    service = deploy("sleep")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, service, "sleep", {"seconds": 60})
        time.sleep(0.5)
        service.close()
        assert error(running.result(timeout=5))["errorType"] == "Runtime.ExitError"
    with pytest.raises(ServiceFailed):
        call(service, "sleep", {"seconds": 0})


def test_a_function_whose_folder_is_gone_cannot_be_invoked(tmp_path: Path) -> None:
    spec = FunctionSpec("echo", "sample.echo", tmp_path / "gone", 1, 128, {}, concurrency=1)
    service = LambdaService([spec], tmp_path / "logs")
    try:
        for _ in range(2):  # the failed start must not count as a busy environment
            with pytest.raises(ServiceFailed, match="gone"):
                call(service, "echo")
    finally:
        service.close()


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 65])
def test_a_name_that_cannot_be_a_function_is_refused(tmp_path: Path, name: str) -> None:
    spec = FunctionSpec(name, "sample.echo", DEPLOYED, 1, 128, {})
    with pytest.raises(ValueError, match="function name"):
        LambdaService([spec], tmp_path)


def test_nothing_outlives_a_stack_that_is_killed(tmp_path: Path) -> None:
    script = """
import json, os, sys, threading
from pathlib import Path
from local.lambda_runtime.service import FunctionSpec, LambdaService
spec = FunctionSpec("leave_child", "sample.leave_child", Path(sys.argv[1]), 60, 512, {})
service = LambdaService([spec], Path(sys.argv[2]))
child = json.loads(service.invoke("leave_child", b"{}").payload)
print(child, os.getpgid(child), service._keeper.scratch, flush=True)
threading.Event().wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(DEPLOYED), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    ) as stack:
        assert stack.stdout is not None
        child, runtime, scratch = stack.stdout.readline().split()
        assert is_running(int(child))
        assert is_running(int(runtime))
        stack.kill()
    assert eventually(lambda: not is_running(int(child)) and not is_running(int(runtime)))
    assert eventually(lambda: not Path(scratch).exists())
    assert Path(scratch).name.startswith("screener-")
