import numpy as np
import pytest

from model_servers.serving import boxes
from screener.observations import Box


def raw_output(*found: tuple[float, float, float, float, int, float]) -> np.ndarray:
    """YOLOv8 output with one anchor per (centre x, centre y, width, height, class, score)."""
    output = np.zeros((4 + 3, len(found)), np.float32)
    for anchor, (x, y, width, height, kind, score) in enumerate(found):
        output[:4, anchor] = x, y, width, height
        output[4 + kind, anchor] = score
    return output


def test_overlapping_boxes_of_one_class_leave_the_better_one() -> None:
    output = raw_output((50, 50, 20, 20, 0, 0.6), (51, 50, 20, 20, 0, 0.9), (90, 90, 9, 9, 0, 0.5))
    found = boxes.select(output, floor=0.25, overlap=0.5, per_class=True)
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.boxes[0].tolist() == pytest.approx([41, 40, 20, 20])


@pytest.mark.parametrize(("per_class", "kept"), [(True, [1, 0]), (False, [1])])
def test_classes_suppress_each_other_only_when_asked(per_class: bool, kept: list[int]) -> None:
    output = raw_output((50, 50, 20, 20, 0, 0.6), (50, 50, 20, 20, 1, 0.9))
    found = boxes.select(output, floor=0.25, overlap=0.5, per_class=per_class)
    assert found.classes.tolist() == kept


def test_the_floor_itself_is_kept_and_nothing_below() -> None:
    output = raw_output((10, 10, 5, 5, 2, 0.25), (50, 50, 5, 5, 2, 0.2499))
    found = boxes.select(output, floor=0.25, overlap=0.5, per_class=True)
    assert found.classes.tolist() == [2]


def test_nothing_found_is_an_empty_selection() -> None:
    found = boxes.select(np.zeros((7, 0), np.float32), floor=0.2, overlap=0.5, per_class=True)
    assert [part.shape[0] for part in found] == [0, 0, 0]


def test_a_box_is_cut_off_at_the_frame() -> None:
    assert boxes.ratio_box(-0.1, 0.5, 0.25, 1.5) == Box(left=0, top=0.5, width=0.25, height=0.5)
    assert boxes.ratio_box(1.2, 0.1, 1.4, 0.3) is None
    assert boxes.ratio_box(0.3, 0.3, 0.3, 0.9) is None
