"""Executions that outlive their stack, and how a user finds one."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.commands.executions import UnknownExecution, find_record
from local.runs import records
from local.runs.progress import read_progress
from local.runs.records import ExecutionRecord, RecordFolder
from tests.unit.local.runs.history import BEGIN, partial_run


def record(name: str, key: str, minute: int = 0, **changes: Any) -> ExecutionRecord:
    return ExecutionRecord(
        name=name,
        arn=f"arn:{name}",
        status="FAILED",
        started_at=BEGIN + timedelta(minutes=minute),
        stopped_at=BEGIN + timedelta(minutes=minute, seconds=30),
        input={"bucket": "m", "key": key},
        error="IncompleteAnalysis",
        cause="faces",
        progress=read_progress(partial_run().events),
        **changes,
    )


def test_records_come_back_as_they_were_newest_first(tmp_path: Path) -> None:
    folder = RecordFolder(tmp_path / "executions")
    kept = [record("a", "uploads/a.mp4", 0, live=True), record("b", "uploads/b.mp4", 1)]
    folder.keep(kept)
    read = list(folder.read())
    assert [one.name for one in read] == ["b", "a"]
    assert read[1] == kept[0].model_copy(update={"live": False})


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "KEPT_RECORDS", 3)
    folder = RecordFolder(tmp_path)
    folder.keep(record(f"r{minute}", "k", minute) for minute in range(5))
    assert [one.name for one in folder.read()] == ["r4", "r3", "r2"]


def test_files_that_are_no_records_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{")
    (tmp_path / "2.json").write_text("{}")
    assert list(RecordFolder(tmp_path).read()) == []
    assert list(RecordFolder(tmp_path / "none").read()) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("clip-2", "clip-2"),
        ("arn:clip-1", "clip-1"),
        ("uploads/x/clip.mp4", "clip-2"),
        ("clip.mp4", "clip-2"),
        ("some/where/clip.mp4", "clip-2"),
        ("other", "other-3"),
    ],
)
def test_a_user_names_an_execution_or_its_video(name: str, found: str) -> None:
    listed = [
        record("clip-2", "uploads/x/clip.mp4", 2),
        record("clip-1", "uploads/x/clip.mp4", 1),
        record("other-3", "uploads/o.mp4", 0),
    ]
    assert find_record(name, listed).name == found


def test_an_unknown_name_is_an_error_that_repeats_it() -> None:
    with pytest.raises(UnknownExecution, match="'ghost'"):
        find_record("ghost", [record("a", "b.mp4")])
