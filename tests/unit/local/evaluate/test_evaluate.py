import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from local.evaluate.cli import evaluate
from local.evaluate.curves import Point, curve, interval
from local.evaluate.labels import UnusableLabels, read_samples
from screener.composing import judged_document, pipeline_run
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset
from tests.observation_examples import material, moderation

BALANCED = load_preset(Preset.BALANCED)


def known(scores, unsafe):
    return curve(np.array(scores, dtype=float), np.array(unsafe, dtype=bool))


def test_a_set_with_known_answers():
    """Five samples; at 0.8: 2 flagged, both right, 2 of 3 found; at 0.6: 3 flagged, 2 right."""
    found = known([0.9, 0.8, 0.6, 0.5, 0.1], [True, True, False, True, False])
    assert [point.threshold for point in found.points] == [0.9, 0.8, 0.6, 0.5, 0.1]
    assert found.at(0.8) == Point(0.8, 1.0, pytest.approx(2 / 3), 2)
    assert found.at(0.7) == Point(0.7, 1.0, pytest.approx(2 / 3), 2)
    assert found.at(0.6) == Point(0.6, pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert found.best == Point(0.5, 0.75, 1.0, 4)
    assert found.for_precision(1.0).threshold == 0.8
    assert found.for_recall(1.0).threshold == 0.5
    assert found.average_precision == pytest.approx(1 / 3 + 1 / 3 + 0.75 / 3)


def test_equal_scores_are_one_threshold():
    found = known([0.5, 0.5, 0.5], [True, False, False])
    assert found.points == (Point(0.5, pytest.approx(1 / 3), 1.0, 3),)
    assert found.for_precision(0.9) is None


def test_above_every_score_nothing_is_flagged_and_nothing_has_a_precision():
    assert known([0.2], [True]).at(0.9) is None
    assert known([0.2], [True]).at(0.2) == Point(0.2, 1.0, 1.0, 1)


def test_without_an_unsafe_sample_there_is_no_recall():
    with pytest.raises(ValueError, match="not one sample"):
        known([0.5], [False])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40).filter(
        lambda rows: any(unsafe for _, unsafe in rows)
    )
)
def test_every_point_is_what_counting_says(rows):
    scores, unsafe = [score / 20 for score, _ in rows], [label for _, label in rows]
    for point in known(scores, unsafe).points:
        flagged = [
            label for score, label in zip(scores, unsafe, strict=True) if score >= point.threshold
        ]
        assert point.flagged == len(flagged)
        assert point.precision == pytest.approx(sum(flagged) / len(flagged))
        assert point.recall == pytest.approx(sum(flagged) / sum(unsafe))


def test_the_interval_of_a_small_set_is_wide():
    low, high = interval(1.0, 5)
    assert (round(low, 3), high) == (0.566, 1.0)  # Wilson, as tables have it
    assert interval(0.5, 0) == (0.0, 1.0)


def write_documents(folder, videos):
    """Per video its label and, per frame, the scores of OpenNSFW2 and NudeNet."""
    lines = ["document,unsafe"]
    for number, (unsafe, frames) in enumerate(videos):
        seen = moderation([(nsfw, {"FEMALE_BREAST_EXPOSED": region}) for nsfw, region in frames])
        given_material = material(seen, frame_count=len(frames))
        document = judged_document(
            given_material,
            judge(given_material, BALANCED, None),
            pipeline_run("arn", None, "2026-11-23T00:00:00+00:00"),
            last_modified=None,
            instance_types={},
        )
        (folder / f"{number}.moderation.json").write_text(document.model_dump_json())
        lines.append(f"{number}.moderation.json,{'yes' if unsafe else 'no'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


@pytest.fixture
def labels(tmp_path):
    return write_documents(
        tmp_path,
        [
            (True, [(0.9, 0.7), (0.1, 0.0)]),
            (True, [(0.8, 0.1)]),
            (True, [(0.2, 0.6)]),
            (False, [(0.85, 0.05)]),
            (False, [(0.1, 0.3), (0.3, 0.1)]),
        ],
    )


def run(*arguments):
    app = Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_models_and_consensus_are_measured(labels, tmp_path):
    result = run(
        labels, "--json", "--precision", "1", "--recall", "1", "--plot", tmp_path / "c.svg"
    )
    assert result.exit_code == 0, (result.output, result.exception)
    numbers = json.loads(result.output)
    assert (numbers["labels"], numbers["unsafe"]) == (5, 3)
    models = numbers["models"]
    # NudeNet: 0.7, 0.1, 0.6 are unsafe, 0.05 and 0.3 are not.
    assert models["nudenet"]["for_precision"]["threshold"] == 0.6
    assert models["nudenet"]["for_recall"] == {
        "threshold": 0.1,
        "precision": 0.75,
        "recall": 1.0,
        "flagged": 4,
        "f1": pytest.approx(6 / 7),
    }
    # Frame by frame: the scores of different frames never add up to an agreement.
    assert [point["threshold"] for point in models["both"]["curve"]] == [0.7, 0.2, 0.1, 0.05]
    # The balanced policy's 0.5 for NudeNet: two of three, nothing wrong.
    assert models["nudenet"]["policy"]["recall"] == pytest.approx(2 / 3)
    assert models["nudenet"]["policy"]["precision"] == 1.0
    picture = ET.fromstring((tmp_path / "c.svg").read_text())  # noqa: S314 - our own file
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 8


def test_the_table_warns_of_a_small_set(labels):
    result = run(labels)
    assert result.exit_code == 0
    assert "5 labels, 3 of them unsafe" in result.output
    assert "mind the intervals" in result.output
    assert "policy balanced" in result.output


def test_a_label_can_be_about_a_part_of_a_video(labels):
    labels.write_text("document,unsafe,start_ms,end_ms\n0.moderation.json,yes,1000,2000\n")
    (sample,) = read_samples(labels)
    assert sample.scores["opennsfw2"] == 0.1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "columns"),
        ("video,label\n", "columns"),
        ("document,unsafe\n", "no labels"),
        ("document,unsafe\n0.moderation.json,perhaps\n", ":2: unsafe is 'perhaps'"),
        ("document,unsafe\n0.moderation.json\n", ":2: too many or too few"),
        ("document,unsafe\n0.moderation.json,yes,1\n", ":2: too many or too few"),
        ("document,unsafe,start_ms,end_ms\n0.moderation.json,yes,x,\n", "not a time"),
        ("document,unsafe,start_ms,end_ms\n0.moderation.json,yes,90000,\n", "no frame"),
        ('document,unsafe\n"0.mod', "labels.csv"),
    ],
)
def test_wrong_labels_are_refused_with_their_line(labels, text, reason):
    labels.write_text(text)
    with pytest.raises(UnusableLabels, match=reason):
        read_samples(labels)


def test_a_missing_document_is_named(labels):
    labels.write_text("document,unsafe\nabsent.moderation.json,yes\n")
    result = run(labels)
    assert "absent.moderation.json" in str(result.exception)


def test_a_policy_that_flags_nothing_is_said_to(tmp_path):
    quiet = write_documents(tmp_path, [(True, [(0.3, 0.2)]), (False, [(0.1, 0.1)])])
    assert "flags nothing" in run(quiet).output
    models = json.loads(run(quiet, "--json").output)["models"]
    assert models["nudenet"]["policy"] is None
