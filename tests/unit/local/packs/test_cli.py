import json
import re
import subprocess
import sys

import pytest
from moto import mock_aws
from typer.testing import CliRunner

from local.packs.cli import app
from local.packs.places import packs_folder
from screener import aws


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command with a home of its own and, unless told, an empty mirror."""
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path / "home"))
    (tmp_path / "no-mirror").mkdir()
    monkeypatch.setenv("SCREENER_MODEL_MIRROR", str(tmp_path / "no-mirror"))
    runner = CliRunner()

    def invoke(*arguments):
        return runner.invoke(app, [str(argument) for argument in arguments])

    invoke.home = tmp_path / "home"
    return invoke


def test_available_takes_what_the_wheels_hold_and_says_how_to_get_the_rest(run):
    result = run("pull", "--available")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [
        ("installed", "nudenet-320n"),
        ("installed", "opennsfw2"),
        ("absent", "scrfd-500m"),
        ("absent", "w600k-mbf"),
        ("installed", "whisper-tiny.en"),
        ("absent", "yolov8n"),
        ("absent", "clip-vit-b-32"),
    ]
    for name in ("scrfd-500m", "w600k-mbf"):
        assert f"`screener packs pull {name}` downloads it" in result.stdout
    for name in ("yolov8n", "clip-vit-b-32"):
        assert f"`screener packs pull {name}` downloads its weights and exports" in result.stdout
    assert "AGPL-3.0" in result.stdout


def test_available_takes_the_mirrors_packs_too(run, model_mirror):
    result = run("pull", "--available", "--mirror", model_mirror)
    assert result.exit_code == 0
    assert "installed  mobilefacenet-arcface-512" in result.stdout
    assert "installed  yolov8n" in result.stdout
    again = run("pull", "--available", "--mirror", model_mirror)
    assert {line.split()[0] for line in again.stdout.splitlines()} == {"ready", "absent"}


def test_looking_again_loads_none_of_what_only_a_first_pull_needs(run):
    run("pull", "--available")
    script = (
        "import sys; from local.packs.cli import app; app(['pull', '--available'], "
        "standalone_mode=False); "
        "print({'onnxruntime', 'requests', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_damaged_default_pack_fails_the_command_but_not_its_neighbours(run):
    run("pull", "--available")
    (packs_folder(run.home) / "opennsfw2" / "open_nsfw.onnx").write_bytes(b"")
    result = run("pull", "--available")
    assert result.exit_code == 1
    assert "failed     opennsfw2" in result.stderr
    assert "ready      whisper-tiny.en" in result.stdout


def test_a_home_that_cannot_be_written_is_reported_for_every_pack(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path / "file"))
    for arguments in (["--available"], ["nudenet-320n"]):
        result = run("pull", *arguments)
        assert result.exit_code == 1
        assert "Not a directory" in result.stderr or "File exists" in result.stderr


def test_a_named_pack_that_cannot_be_had_fails(run):
    result = run("pull", "mobilefacenet-arcface-512", "nudenet-320n")
    assert result.exit_code == 1
    assert "no other source" in result.stderr
    assert "installed  nudenet-320n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give pack names"),
        (["yolov8n", "--all"], "give pack names"),
        (["yolo99"], "no pack is named"),
        (["nudenet-320n", "--sha256", "abc"], "not 64 hex digits"),
        (["whisper-tiny.en", "--sha256", "0" * 64], "say FILE=DIGEST"),
        (["nudenet-320n", "--mirror", "/does/not/exist"], "does not exist"),
    ],
)
def test_a_mistaken_command_line_is_explained(run, arguments, reason):
    result = run("pull", *arguments)
    assert result.exit_code == 2
    # The message is wrapped and framed for a terminal.
    assert reason in " ".join(result.stderr.replace("│", " ").split())


def test_a_pin_is_compared_with_what_arrives(run):
    result = run("pull", "nudenet-320n", "--sha256", "0" * 64)
    assert result.exit_code == 1
    assert f"expected {'0' * 64}" in result.stderr
    assert not (packs_folder(run.home) / "nudenet-320n").exists()


def test_the_list_shows_what_is_here_with_licence_and_size(run):
    run("pull", "nudenet-320n")
    own = packs_folder(run.home) / "my-detector"
    own.mkdir()
    text = (packs_folder(run.home) / "nudenet-320n" / "pack.json").read_text()
    (own / "pack.json").write_text(text.replace('"name": "nudenet-320n"', '"name": "my-detector"'))
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["nudenet-320n"]["state"] == "installed"
    assert rows["yunet"]["state"] == ""
    assert rows["scrfd-10g"]["commercial_use"] is False
    assert rows["my-detector"]["summary"] == "your own"
    shown = run("list").stdout
    assert "installed  nudenet-320n" in shown
    assert "12.2 MB  AGPL-3.0" in shown


def test_verify_hashes_all_packs_or_the_named_ones(run):
    run("pull", "nudenet-320n", "opennsfw2")
    assert run("verify").exit_code == 0
    weights = packs_folder(run.home) / "opennsfw2" / "open_nsfw.onnx"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    result = run("verify")
    assert result.exit_code == 1
    assert "refused    opennsfw2" in result.stderr
    assert "ok         nudenet-320n" in result.stdout
    assert run("verify", "nudenet-320n").exit_code == 0
    assert run("verify", "never-installed").exit_code == 1


def test_use_chooses_between_installed_packs_and_survives_a_choice_that_is_gone(run):
    run("pull", "nudenet-320n", "opennsfw2")
    own = packs_folder(run.home) / "mine"
    own.mkdir()
    text = (packs_folder(run.home) / "nudenet-320n" / "pack.json").read_text()
    (own / "pack.json").write_text(text.replace('"name": "nudenet-320n"', '"name": "mine"'))
    assert "moderation.detector    nudenet-320n" in run("use").stdout
    assert "moderation.detector    mine" in run("use", "moderation.detector=mine").stdout
    (own / "pack.json").unlink()
    gone = run("use")
    assert gone.exit_code == 1
    assert "mine is not installed; installed: nudenet-320n" in gone.stderr
    assert "moderation.detector    nudenet-320n" in run("use", "moderation.detector=").stdout


@pytest.mark.parametrize(
    ("choice", "code"), [("nonsense", 2), ("moderation.detector=yolov8n", 1), ("a.b=c", 1)]
)
def test_a_choice_that_cannot_be_followed_is_not_kept(run, choice, code):
    run("pull", "nudenet-320n")
    assert run("use", choice).exit_code == code
    assert run("use").stdout == "moderation.detector    nudenet-320n\n"


def test_publish_prints_the_templates_parameters(run, monkeypatch):
    run("pull", "nudenet-320n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        aws.s3.cache_clear()
        aws.s3().create_bucket(Bucket="models")
        result = run("publish", "s3://models")
        assert result.exit_code == 0
        [line] = result.stdout.splitlines()
        assert re.fullmatch(r"ModerationPacks=s3://models/packs/moderation/[0-9a-f]{64}/", line)
        assert "nudenet-320n, AGPL-3.0" in result.stderr
        assert "faces: no pack is installed" in result.stderr
        failed = run("publish", "models")
        assert (failed.exit_code, failed.stdout) == (1, "")
    aws.s3.cache_clear()
