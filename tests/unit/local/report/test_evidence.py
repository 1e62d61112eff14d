import base64
import io

import numpy as np
import pytest
from PIL import Image

from local.report.evidence import MAX_FRAMES, blur, evidence_frames
from screener.observations import Box
from tests.unit.local.report.examples import bundle, document, picture


@pytest.fixture(scope="module")
def given():
    return document()


@pytest.fixture(scope="module")
def frames(given):
    data = bundle(given)
    return evidence_frames(given, lambda _chunk: io.BytesIO(data))


def pixels(uri):
    raw = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(raw)).convert("L"), dtype=float)


def detail(image):
    return float(np.abs(np.diff(image, axis=1)).mean())


def test_the_peaks_of_findings_are_shown_in_order_of_time(frames):
    times = [frame.timestamp_ms for frame in frames]
    assert 10_000 in times
    assert times == sorted(times)
    assert len(frames) <= MAX_FRAMES


def test_nude_regions_are_blurred_and_the_rest_is_not(frames):
    frame = next(item for item in frames if item.timestamp_ms == 10_000)
    blurred, clear = pixels(frame.blurred), pixels(frame.clear)
    height, width = blurred.shape
    inside = np.s_[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    outside = np.s_[: height // 8, :]
    assert detail(clear[inside]) > 10
    assert detail(blurred[inside]) < 1
    assert detail(blurred[outside]) == pytest.approx(detail(clear[outside]), rel=0.2)


def test_without_originals_nothing_clear_is_left(given):
    data = bundle(given)
    shown = evidence_frames(given, lambda _chunk: io.BytesIO(data), originals=False)
    assert shown
    assert all(frame.clear is None for frame in shown)


def test_a_frame_is_blurred_whole_where_nobody_looked_for_nudity(given):
    blind = given.model_copy(update={"moderation": None})
    data = bundle(given)
    shown = evidence_frames(blind, lambda _chunk: io.BytesIO(data))
    assert shown
    assert all(detail(pixels(frame.blurred)) < 1 for frame in shown)


@pytest.mark.parametrize("data", [b"", b"not a tar", None], ids=["empty", "garbage", "gone"])
def test_frames_that_cannot_be_read_are_left_out(given, data):
    opened = (lambda _chunk: None) if data is None else (lambda _chunk: io.BytesIO(data))
    assert evidence_frames(given, opened) == []


def test_a_bundle_that_is_cut_off_gives_what_it_has(given):
    data = bundle(given)[:-200_000]
    shown = evidence_frames(given, lambda _chunk: io.BytesIO(data))
    assert all(frame.timestamp_ms < 29_000 for frame in shown)


def test_blur_reaches_over_the_edges_of_a_box():
    image = Image.open(io.BytesIO(picture(0)))
    whole = blur(image, [Box(left=0, top=0, width=1, height=1)], whole=False)
    assert detail(np.asarray(whole.convert("L"), dtype=float)) < 1
