import json
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[4] / "assets" / "sample.mp4"


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from local.cli import main; main()", "probe", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_report_tells_what_would_be_analysed_and_what_it_would_cost():
    result = probe(str(SAMPLE), "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["video"]["duration_ms"] == 12_000
    assert report["most_frames"] == 12
    assert "12 frames of 640x480" in report["analyses"]["moderation"]
    assert "0:12.0 of sound" in report["analyses"]["transcription"]
    assert 0 < report["busy_usd"] < 0.1


def test_twice_the_frames_cost_more():
    slow, fast = (
        json.loads(
            probe(str(SAMPLE), "--json", "--sampling", f'{{"frames_per_second": {rate}}}').stdout
        )
        for rate in (1, 2)
    )
    assert fast["most_frames"] == 2 * slow["most_frames"]
    assert fast["busy_usd"] > slow["busy_usd"]


def test_the_number_of_key_frames_is_not_made_up():
    result = probe(str(SAMPLE), "--json", "--sampling", '{"strategy": "key_frames"}')
    assert json.loads(result.stdout)["most_frames"] is None


def test_people_get_a_table():
    result = probe(str(SAMPLE))
    assert "h264, 640x480, 24.00 frames a second" in result.stdout


def test_a_video_that_would_be_refused_exits_4_with_the_reason(tmp_path):
    fake = tmp_path / "notes.mp4"
    fake.write_text("not a video at all " * 100)
    result = probe(str(fake))
    assert result.returncode == 4
    assert "not_a_video" in result.stderr


@pytest.mark.parametrize("sampling", ["[]", "{", '{"frames_per_second": 0}', '{"speed": 1}'])
def test_a_wrong_sampling_is_named_and_is_wrong_usage(sampling):
    result = probe(str(SAMPLE), "--sampling", sampling)
    assert result.returncode == 64
    assert "--sampling" in result.stderr
