"""The `screener` command as users type it, on the running stack and on one of its own."""

import json
from pathlib import Path

from screener.document import Document
from tests.local_stack import Command, Stack, last_json
from tests.tiny_clips import tiny_clip


def test_run_writes_the_document_says_the_verdict_and_exits_with_it(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    video = tmp_path / "clip\x1b[31m\u202e é.mp4"
    video.write_bytes(tiny_clip(audio=True, seed=5))
    before = video.read_bytes()
    ran = command("run", video, "--out", tmp_path / "documents")
    written, report = sorted((tmp_path / "documents").iterdir())
    assert report.name == "clip\x1b[31m\u202e é.report.html"
    assert "\u202e" not in report.read_text("utf-8")
    document = Document.model_validate_json(written.read_bytes())
    assert video.read_bytes() == before
    assert written.name == "clip\x1b[31m\u202e é.moderation.json"
    expected = {"complete": ["approve", "review", "reject"]}.get(document.status.value, [])
    code = expected.index(document.verdict.decision) if expected else 3
    assert ran.returncode == code, ran.stderr
    assert document.verdict.decision.upper() in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "\u202e" not in ran.stdout + ran.stderr
    assert "clip\\x1b[31m\\u202e é.moderation.json" in ran.stdout
    for step in ("ValidateVideo", "moderation started", "moderation succeeded"):
        assert step in ran.stderr


def test_json_is_one_line_per_video_and_videos_of_one_stem_get_two_documents(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    for number, name in enumerate(("same.mp4", "same.mov")):
        (tmp_path / name).write_bytes(tiny_clip(seconds=0.5, seed=number))
    (tmp_path / "broken.mp4").write_bytes(b"not a video at all")
    ran = command(
        "run", *(tmp_path / name for name in ("same.mp4", "same.mov", "broken.mp4")), "--json"
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["same.mp4", "same.mov", "broken.mp4"]
    assert lines[2]["document"]["status"] == "invalid"
    assert ran.returncode == lines[2]["exit_code"] == 4
    assert (tmp_path / "same.moderation.json").is_file()
    assert (tmp_path / "same.mov.moderation.json").is_file()
    keys = [json.loads(Path(line["document_path"]).read_text())["video"]["key"] for line in lines]
    assert [Path(key).name for key in keys] == ["same.mp4", "same.mov", "broken.mp4"]


def test_a_document_that_cannot_be_written_costs_the_others_nothing(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    for name in ("first.mp4", "second.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "out" / "first.moderation.json").mkdir(parents=True)
    ran = command(
        "run", tmp_path / "first.mp4", tmp_path / "second.mp4", "--out", tmp_path / "out", "--json"
    )
    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert ran.returncode == first["exit_code"] == 70
    assert (first["document_path"], first["document"]["status"]) == (None, "invalid")
    assert "first.moderation.json" in first["error"]
    assert (second["exit_code"], second["error"]) == (4, None)
    assert Path(second["document_path"]).is_file()


def test_executions_and_show_tell_what_ran(command: Command, stack: Stack, tmp_path: Path) -> None:
    video = tmp_path / "shown.mp4"
    video.write_bytes(b"")
    command("run", video)
    listed = command("executions", "--json", "-n", "1")
    assert last_json(listed.stdout)["input"]["key"].endswith("/shown.mp4")
    assert "shown.mp4" in command("executions").stdout
    shown = command("show", "shown.mp4")
    assert shown.returncode == 0
    assert "RejectVideo" in shown.stdout
    assert "REVIEW" in shown.stdout or "REJECT" in shown.stdout
    unknown = command("show", "never-heard-of")
    assert unknown.returncode == 70
    assert "never-heard-of" in unknown.stderr


def test_a_second_up_keeps_the_stack_that_is_there(command: Command, stack: Stack) -> None:
    again = command("up", "--detach")
    assert again.returncode == 0
    assert f"export AWS_ENDPOINT_URL={stack.description.endpoint_url}\n" in again.stdout


def test_paths_that_cannot_be_screened_are_refused_before_anything_starts(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path, complaint in (
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path, "not a file"),
        (tmp_path / "notes.txt", ".mp4"),
    ):
        ran = command("run", path)
        assert ran.returncode == 64
        assert complaint in ran.stderr


def test_a_run_that_takes_too_long_says_where_it_stands(
    command: Command, stack: Stack, tmp_path: Path
) -> None:
    video = tmp_path / "long.mp4"
    video.write_bytes(tiny_clip(seconds=30, seed=6))
    ran = command("run", video, "--timeout", "1")
    assert ran.returncode == 70
    assert "in time" in ran.stdout
