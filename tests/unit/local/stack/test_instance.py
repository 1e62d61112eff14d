"""Folders of stacks, the state file, and what is left of stacks that were killed."""

import os
import threading
from pathlib import Path

import pytest

from local.stack.description import StackDescription
from local.stack.gateway import Gateway, serve
from local.stack.instance import (
    KEPT_INSTANCES,
    StackBusy,
    StackFolder,
    StackSilent,
    alive,
    is_alive,
)


def description(url: str, folder: Path, instance: str = "abc") -> StackDescription:
    return StackDescription(
        instance=instance,
        pid=os.getpid(),
        root=Path("/checkout"),
        version="0",
        endpoint_url=url,
        region="us-east-1",
        started_at="2026-01-01T00:00:00+00:00",
        media_bucket="m",
        upload_prefix="uploads/",
        work_bucket="w",
        intake_queue="q",
        dead_letter_queue="d",
        state_machine_arn="arn",
        table="t",
        endpoints={},
        missing={},
        video_suffixes=[".mp4"],
        folder=folder,
    )


@pytest.fixture
def folder(tmp_path: Path) -> StackFolder:
    folder = StackFolder(tmp_path, Path("/checkout"))
    folder.path.mkdir(parents=True)
    return folder


def test_a_stack_that_answers_under_its_own_name_is_running(
    folder: StackFolder, tmp_path: Path
) -> None:
    gateway = Gateway()
    server = serve(gateway, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    noted = description(f"http://127.0.0.1:{server.port}", tmp_path)
    folder.state_file.write_text(noted.model_dump_json())
    try:
        gateway.description = noted.model_dump_json().encode()
        assert folder.running() == noted
        # Another stack took over the port of one that was killed.
        other = description(noted.endpoint_url, tmp_path, "other")
        gateway.description = other.model_dump_json().encode()
        assert folder.running() is None
        assert not folder.state_file.exists()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("content", ["", "{}", '{"endpoint_url": 7}'])
def test_a_state_file_that_is_none_is_removed(folder: StackFolder, content: str) -> None:
    folder.state_file.write_text(content)
    assert folder.running() is None
    assert not folder.state_file.exists()


def test_a_state_file_that_nobody_answers_for_is_removed(
    folder: StackFolder, tmp_path: Path
) -> None:
    folder.state_file.write_text(description("http://127.0.0.1:1", tmp_path).model_dump_json())
    assert folder.running() is None
    assert not folder.state_file.exists()


def test_a_stack_that_lives_and_does_not_answer_keeps_its_state_file(
    folder: StackFolder, tmp_path: Path
) -> None:
    noted = description("http://127.0.0.1:1", tmp_path)
    folder.state_file.write_text(noted.model_dump_json())
    with alive(tmp_path), pytest.raises(StackSilent, match=f"process {os.getpid()}") as caught:
        folder.running()
    assert caught.value.stack == noted
    assert folder.state_file.exists()
    # Its process has ended.
    assert folder.running() is None
    assert not folder.state_file.exists()


def test_two_checkouts_do_not_share_a_stack(tmp_path: Path) -> None:
    one = StackFolder(tmp_path, Path("/a/checkout"))
    other = StackFolder(tmp_path, Path("/b/checkout"))
    assert one.state_file != other.state_file


def test_only_one_command_at_a_time_starts_or_stops(folder: StackFolder) -> None:
    with folder.exclusive(), pytest.raises(StackBusy), folder.exclusive():
        pass
    with folder.exclusive():
        pass


def test_old_instances_go_and_running_ones_stay(folder: StackFolder) -> None:
    first = folder.new_instance()
    with alive(first):
        assert is_alive(first)
        made = []
        for _ in range(KEPT_INSTANCES + 3):
            instance = folder.new_instance()
            with alive(instance):
                (instance / "tmp" / "video").write_bytes(b"x")
            made.append(instance)
        assert first.is_dir()
    assert folder.latest_instance() == made[-1]
    kept = [instance for instance in made if instance.is_dir()]
    assert len(kept) <= KEPT_INSTANCES
    # Logs of an ended stack are kept, its temporary files are not.
    assert (kept[-2] / "logs").is_dir()
    assert not (kept[-2] / "tmp").exists()
