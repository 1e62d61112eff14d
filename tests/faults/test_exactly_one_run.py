"""One run per object version, whatever the events do; the newest version's document stays."""

from concurrent.futures import ThreadPoolExecutor

from screener.document import DocumentStatus
from screener.observations import Analyzer
from tests.faults.events import object_created
from tests.faults.scripted_stack import ScriptedStack, eventually
from tests.tiny_clips import tiny_clip


def executions_of(scripted: ScriptedStack, key: str) -> list[str]:
    full = scripted.description.upload_prefix + key
    return [one.name for one in scripted.executions() if one.video_key == full]


def drain(scripted: ScriptedStack) -> None:
    for _ in eventually("the intake queue is empty"):
        if not scripted.queued(scripted.description.intake_queue):
            return


def send(scripted: ScriptedStack, *bodies: str) -> None:
    with ThreadPoolExecutor(8) as senders:
        for _ in senders.map(
            lambda body: scripted.sqs.send_message(
                QueueUrl=scripted.description.intake_queue, MessageBody=body
            ),
            bodies,
        ):
            pass


def test_duplicated_reordered_and_late_events_start_one_run_per_version(
    scripted: ScriptedStack,
) -> None:
    first = scripted.screen("twice.mp4", tiny_clip(seed=60))
    second = scripted.screen("twice.mp4", tiny_clip(seed=61))
    old, new = object_created(first.input), object_created(second.input)
    send(scripted, new, old, old, new, *[old] * 6)
    drain(scripted)
    assert sorted(executions_of(scripted, "twice.mp4")) == sorted([first.name, second.name])
    assert scripted.invocations(first.name[-32:])[Analyzer.MODERATION] == 1
    document = scripted.document_of("twice.mp4")
    assert document.video.version_id == second.input["version_id"]


def test_an_event_duplicated_while_its_run_goes_on_starts_nothing(scripted: ScriptedStack) -> None:
    scripted.behave(Analyzer.OBJECTS, "slow")
    name = scripted.upload("at-once.mp4", tiny_clip(seed=62))
    for _ in eventually("the execution runs"):
        if executions_of(scripted, "at-once.mp4"):
            break
    body = object_created(scripted.record(name).input)
    send(scripted, *[body] * 10)
    assert scripted.wait(name).status == "SUCCEEDED"
    drain(scripted)
    assert executions_of(scripted, "at-once.mp4") == [name]
    assert scripted.invocations(name[-32:])[Analyzer.OBJECTS] == 1


def test_simultaneous_uploads_of_one_key_are_two_runs_and_the_newest_document_stays(
    scripted: ScriptedStack,
) -> None:
    clips = [tiny_clip(seed=seed) for seed in (63, 64, 65)]
    with ThreadPoolExecutor(3) as uploaders:
        names = list(uploaders.map(lambda clip: scripted.upload("race.mp4", clip), clips))
    records = [scripted.wait(name) for name in names]
    assert len(set(names)) == 3
    assert [record.status for record in records] == ["SUCCEEDED"] * 3
    bucket, key = records[0].input["bucket"], records[0].input["key"]
    current = scripted.s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    assert scripted.document_of("race.mp4").video.version_id == current


def test_a_late_old_run_does_not_replace_the_newer_document(scripted: ScriptedStack) -> None:
    scripted.behave(Analyzer.OBJECTS, "error")
    old = scripted.screen("overwritten.mp4", tiny_clip(seed=66))
    assert old.status == "FAILED"
    scripted.behave(Analyzer.OBJECTS, "answer")
    new = scripted.screen("overwritten.mp4", tiny_clip(seed=67))
    assert new.status == "SUCCEEDED"

    late = scripted.redrive(old)

    assert late.status == "SUCCEEDED"
    assert late.progress.result is not None
    assert late.progress.result.superseded
    document = scripted.document_of("overwritten.mp4")
    assert document.video.version_id == new.input["version_id"]
    assert document.status is DocumentStatus.COMPLETE
