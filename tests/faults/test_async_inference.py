"""Endpoints under faults: every accepted request ends, once, and nothing else is harmed."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from local.async_inference.request import FAILURE_LOCATION, OUTPUT_LOCATION
from local.async_inference.service import AsyncInferenceService, Response
from tests.async_inference.bench import BUCKET, Bench, eventually, server_command
from tests.faults.faulty_aws import Fault, FaultyAws

INPUT_PATH = "/in.tar$"
OUTPUT_PATH = "/async/output/"
FAILURE_PATH = "/async/failure/"

SEED = int(os.environ.get("SCREENER_FAULT_SEED", "20261123"))
"""Printed with a failing run; set the variable to try another."""


# S3 fails.


@pytest.mark.parametrize(
    ("method", "path"), [("GET", INPUT_PATH), ("PUT", OUTPUT_PATH)], ids=["input", "output"]
)
def test_throttling_is_waited_out(
    bench: Bench, faulty_aws: FaultyAws, method: str, path: str
) -> None:
    fault = faulty_aws.inject(Fault(method, path, status=503, times=2))
    service = bench.start(server_command("ready"))
    assert bench.output(bench.invoke(service))["size"] == 6
    assert fault.hits == 2


def test_an_input_that_is_cut_off_is_read_again(bench: Bench, faulty_aws: FaultyAws) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="big/in.tar", Body=bytes(5_000_000))
    fault = faulty_aws.inject(Fault("GET", INPUT_PATH, cut_after_bytes=1_000_000, times=2))
    service = bench.start(server_command("ready"))
    assert bench.output(bench.invoke(service, key="big/in.tar"))["size"] == 5_000_000
    assert fault.hits == 2


def test_an_input_that_is_always_cut_off_never_reaches_a_model(
    bench: Bench, faulty_aws: FaultyAws
) -> None:
    faulty_aws.inject(Fault("GET", INPUT_PATH, cut_after_bytes=3))
    service = bench.start(server_command("ready"))
    assert "Cannot read input" in bench.failure(bench.invoke(service))
    assert service.metrics()["endpoint"].model_seconds == 0


@pytest.mark.parametrize("path", [INPUT_PATH, OUTPUT_PATH], ids=["input", "output"])
def test_a_refusal_is_a_failure_that_names_it(
    bench: Bench, faulty_aws: FaultyAws, path: str
) -> None:
    method = "GET" if path == INPUT_PATH else "PUT"
    faulty_aws.inject(Fault(method, path, status=403, code="AccessDenied"))
    service = bench.start(server_command("ready"))
    assert "AccessDenied" in bench.failure(bench.invoke(service))


def test_a_slow_s3_delays_nothing_but_its_own_request(bench: Bench, faulty_aws: FaultyAws) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="slow.tar", Body=b"late")
    faulty_aws.inject(Fault("GET", "/slow.tar$", delay_seconds=1.5, times=1))
    service = bench.start(server_command("ready"), max_concurrent_invocations=2)
    slow = bench.invoke(service, key="slow.tar")
    assert eventually(lambda: service.metrics()["endpoint"].in_progress == 1)
    fast = bench.invoke(service)
    assert bench.output(fast)["size"] == 6
    assert bench.read(slow.headers[OUTPUT_LOCATION]) is None
    assert bench.output(slow)["size"] == 4


def test_when_not_even_the_failure_can_be_written_the_endpoint_goes_on(
    bench: Bench, faulty_aws: FaultyAws
) -> None:
    faulty_aws.inject(Fault("PUT", OUTPUT_PATH, status=403, code="AccessDenied", times=1))
    faulty_aws.inject(Fault("PUT", FAILURE_PATH, status=403, code="AccessDenied", times=1))
    service = bench.start(server_command("ready"))
    lost, following = bench.invoke(service), bench.invoke(service)
    assert bench.output(following)["size"] == 6
    assert service.metrics()["endpoint"].failed == 1
    assert bench.read(lost.headers[OUTPUT_LOCATION]) is None
    assert bench.read(lost.headers[FAILURE_LOCATION]) is None


def test_a_topic_that_is_gone_loses_no_result(bench: Bench) -> None:
    gone = "arn:aws:sns:us-east-1:123456789012:gone"
    service = bench.start(server_command("ready"), success_topic_arn=gone, error_topic_arn=gone)
    assert bench.output(bench.invoke(service))["size"] == 6
    assert "(500)" in bench.failure(bench.invoke(service, "refuse 500"))


# Instances fail.


def test_requests_that_arrive_while_an_instance_is_scaled_in_are_served(bench: Bench) -> None:
    """The classic loss: the scale-in decision and the next request cross."""
    service = bench.start(server_command("ready"), scale_in_after_seconds=0.05)
    pids = set()
    for gap in (0.03, 0.045, 0.05, 0.055, 0.06, 0.08):
        pids.add(bench.output(bench.invoke(service))["pid"])
        time.sleep(gap)
    assert len(pids) > 1, "no instance was scaled in: this test showed nothing"
    assert service.metrics()["endpoint"].failed == 0


def test_an_instance_killed_while_it_starts_is_replaced(bench: Bench) -> None:
    service = bench.start(server_command("slow", "0.5"))
    response = bench.invoke(service)
    log = bench.folder / "logs" / "endpoint.log"
    assert eventually(lambda: log.exists() and "starting slow" in log.read_text())
    (pid,) = model_server_pids()
    os.kill(pid, signal.SIGKILL)
    assert bench.output(response)["pid"] != pid


def test_every_request_ends_once_under_random_faults(bench: Bench) -> None:
    """200 requests of seven kinds, and somebody who kills model servers all the while."""
    chance = random.Random(SEED)
    service = bench.start(
        server_command("ready"),
        max_instances=2,
        max_concurrent_invocations=4,
        scale_in_after_seconds=0.1,
    )
    orders = ["echo", "sleep 0.05", "refuse 400", "refuse 500", "missing", "die 9", "cut"]
    weights = [10, 10, 3, 3, 2, 1, 1]
    requests: list[tuple[str, Response]] = []
    for order in chance.choices(orders, weights, k=200):
        key = "missing.tar" if order == "missing" else "in.tar"
        requests.append((order, bench.invoke(service, order, key=key)))
    kills = 0
    deadline = time.monotonic() + 90
    while ended(service) < 200:
        assert time.monotonic() < deadline, (SEED, service.metrics())
        time.sleep(chance.uniform(0.3, 1.0))
        for pid in model_server_pids() if service.metrics()["endpoint"].in_progress else []:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    assert kills > 0
    outcomes = Counter(outcome(bench, order, response) for order, response in requests)
    metrics = service.metrics()["endpoint"]
    assert outcomes[True] == metrics.processed > 0, SEED
    assert outcomes[False] == metrics.failed > 0, SEED
    assert eventually(lambda: service.metrics()["endpoint"].instances == 0)
    assert eventually(lambda: not model_server_pids())
    assert bench.output(bench.invoke(service))["size"] == 6


def ended(service: AsyncInferenceService) -> int:
    metrics = service.metrics()["endpoint"]
    return metrics.processed + metrics.failed


def outcome(bench: Bench, order: str, response: Response) -> bool:
    """Whether there is an output; checks that it is right, or that the failure explains itself."""
    output = bench.read(response.headers[OUTPUT_LOCATION])
    failure = bench.read(response.headers[FAILURE_LOCATION])
    assert (output is None) != (failure is None), (SEED, order)
    if failure is None:
        assert order in ("echo", "sleep 0.05"), (SEED, order)
        return True
    reason = failure["Body"].read().decode()
    own = {
        "refuse 400": "client error (400)",
        "refuse 500": "server error (500)",
        "missing": "NoSuchKey",
    }
    # A request may also lose its instance to another request, or to the one who kills.
    lost = ("server error (0)", "could be started in")
    assert any(part in reason for part in (own.get(order, lost[0]), *lost)), (SEED, reason)
    return False


def model_server_pids() -> list[int]:
    """Model servers that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == os.getpid() and b"model_server.py" in command:
            found.append(int(folder.name))
    return found
