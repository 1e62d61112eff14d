"""Many videos through a stack in which everything fails at random, and what must hold all the same.

Faults come from a seed: what a model server does with a request, which calls to AWS are
throttled, which events arrive twice. Processes die at the seed's intervals too, but what they
were doing then is up to the machine.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from local.runs.records import ExecutionRecord
from screener.document import AnalysisState, Decision, DocumentStatus
from screener.model import Message
from screener.observation_store import parse_observations
from screener.observations import Analyzer
from tests.faults.events import object_created
from tests.faults.faulty_stack import AwsFault
from tests.faults.scripted_stack import ScriptedStack
from tests.tiny_clips import tiny_clip

CHAOS_RATE = 0.25
"""Share of the requests that a model server gets wrong (one in eight of those is only slow)."""
THROTTLED_SHARE = 0.05
MAX_REDRIVES = 3
_AT_ONCE = 10
"""Videos in the stack; more would measure the intake's patience, which the load test does."""
_DONE = (AnalysisState.COMPLETE, AnalysisState.SKIPPED)


class RandomRun(Message):
    """What happened."""

    videos: int
    seed: int
    failed_at_first: int
    redrives: int
    killed_processes: int
    requests: int
    """That reached a model server."""
    good_answers: int
    repeated_answers: int
    """Good answers to what had been answered well before: their observation was lost on the way
    to the store, so the request was made again."""
    decisions_at_first: dict[str, int]


def run(stack: ScriptedStack, videos: int, seed: int) -> RandomRun:
    """Screen `videos` clips under faults, mend the stack, redrive what failed.

    Raises:
        AssertionError: an invariant does not hold; the message names the video.
    """
    chance = random.Random(seed)
    clips = [tiny_clip(seconds=0.5, audio=chance.random() < 0.5, seed=n) for n in range(videos)]
    for analyzer in Analyzer:
        stack.behave(analyzer, "chaos", seed=f"{seed}-{analyzer}", rate=CHAOS_RATE)
    stack.fail_aws(*_throttling(seed))
    # What a killed intake function had in hand comes back after this, not after three minutes.
    stack.sqs.set_queue_attributes(
        QueueUrl=stack.description.intake_queue, Attributes={"VisibilityTimeout": "10"}
    )
    with _killing(stack, chance) as killed, ThreadPoolExecutor(_AT_ONCE) as uploaders:
        records = list(
            uploaders.map(
                lambda number: stack.screen(f"run-{seed}/{number}.mp4", clips[number]),
                range(videos),
            )
        )
    names = [record.name for record in records]
    at_first = [_check_after_faults(stack, record) for record in records]

    stack.heal()
    for record in records:
        if chance.random() < 0.2:
            stack.sqs.send_message(
                QueueUrl=stack.description.intake_queue,
                MessageBody=object_created(record.input),
            )
    redrives = 0
    for _ in range(MAX_REDRIVES):
        failed = [stack.record(name) for name in names if stack.record(name).status != "SUCCEEDED"]
        for record in failed:
            stack.stepfunctions.redrive_execution(executionArn=record.arn)
        redrives += len(failed)
        for record in failed:
            stack.wait(record.name)
    for name in names:
        _check_at_the_end(stack, stack.record(name))
    started = Counter(one.name for one in stack.executions() if f"run-{seed}/" in one.video_key)
    assert started == dict.fromkeys(names, 1), "one execution per video"

    mine = {name[-32:] for name in names}
    answered = Counter(one for one in stack.answers() if one[1] in mine)
    return RandomRun(
        videos=videos,
        seed=seed,
        failed_at_first=sum(record.status != "SUCCEEDED" for record in records),
        redrives=redrives,
        killed_processes=killed[0],
        requests=sum(stack.invocations().values()),
        good_answers=answered.total(),
        repeated_answers=answered.total() - len(answered),
        decisions_at_first=dict(Counter(at_first)),
    )


def _throttling(seed: int) -> list[AwsFault]:
    share = THROTTLED_SHARE
    return [
        AwsFault(target="DynamoDB", status=400, code="ThrottlingException", share=share, seed=seed),
        AwsFault(
            target="AWSEvents", status=400, code="ThrottlingException", share=share, seed=seed + 1
        ),
        AwsFault(
            target="StepFunctions.(Start|List)Execution",
            status=400,
            code="ThrottlingException",
            share=share,
            seed=seed + 2,
        ),
        AwsFault(
            path="^/2015-03-31/functions",
            status=429,
            code="TooManyRequestsException",
            share=share,
            seed=seed + 3,
        ),
        AwsFault(
            path="/async-invocations$",
            status=429,
            code="ThrottlingException",
            share=share,
            seed=seed + 4,
        ),
        AwsFault(
            path="^/[a-z-]+(media|work)", status=503, code="SlowDown", share=share, seed=seed + 5
        ),
    ]


@contextmanager
def _killing(stack: ScriptedStack, chance: random.Random) -> Iterator[list[int]]:
    """Kills a function or a model server every few seconds; counts them in the list it gives."""
    ended = threading.Event()
    count = [0]
    own = random.Random(chance.random())

    def kill() -> None:
        while not ended.wait(own.uniform(1, 4)):
            which = own.choice(["awslambdaric", "-m tests.faults.scripted_server"])
            processes = stack.processes(which)
            if processes:
                try:
                    os.kill(own.choice(processes), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                count[0] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield count
    finally:
        ended.set()
        killer.join()


def _check_after_faults(stack: ScriptedStack, record: ExecutionRecord) -> str:
    """The first promise: a document, or a failed execution that says why. Returns the decision."""
    name = record.name
    if record.progress.result is None:
        assert record.status == "FAILED", f"{name}: {record.status} without a document"
        assert record.error, f"{name}: failed without an error"
        return "none"
    document = stack.document(record)
    missing = [
        analyzer for analyzer, report in document.analyses.items() if report.status not in _DONE
    ]
    if missing:
        assert document.status is DocumentStatus.PARTIAL, f"{name}: {missing} hidden"
        assert document.verdict.decision is not Decision.APPROVE, (
            f"{name}: approved without {missing}"
        )
        assert record.status == "FAILED", f"{name}: {missing} and {record.status}"
    else:
        assert document.status is DocumentStatus.COMPLETE, f"{name}: {document.status}"
    return document.verdict.decision.value


def _check_at_the_end(stack: ScriptedStack, record: ExecutionRecord) -> None:
    """The second promise: once mended, a redrive completes it, from one observation each."""
    name = record.name
    assert record.status == "SUCCEEDED", f"{name}: {record.status} {record.error} {record.cause}"
    document = stack.document(record)
    assert document.status is DocumentStatus.COMPLETE, f"{name}: {document.status}"
    expected = {
        key
        for report in document.analyses.values()
        if report.status is AnalysisState.COMPLETE
        for key in report.observation_keys
    }
    stored = set(stack.work_keys(f"observations/{name[-32:]}/"))
    assert stored == expected, f"{name}: {stored ^ expected}"
    for analyzer, report in document.analyses.items():
        for key in report.observation_keys if report.status is AnalysisState.COMPLETE else ():
            body = stack.s3.get_object(Bucket=stack.description.work_bucket, Key=key)["Body"]
            parse_observations(analyzer, body.read(), key)
