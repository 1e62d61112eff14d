import hashlib
import io
import os
import zipfile

import pytest

from local.packs.download import download, extract_member
from local.packs.errors import DigestMismatch, DownloadFailed

SIZE = 3_000_000
CONTENT = os.urandom(SIZE)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "model.onnx"


@pytest.fixture
def fetch(origin, target):
    origin.files["/model.onnx"] = CONTENT
    seen = []

    def run(path="/model.onnx", sha256=DIGEST, size_bytes=SIZE):
        return download(
            origin.url + path,
            target,
            sha256=sha256,
            size_bytes=size_bytes,
            progress=lambda have, total: seen.append((have, total)),
            pause_seconds=0,
        )

    run.seen = seen
    return run


def test_a_file_arrives_whole_with_progress_and_nothing_else_is_left(fetch, target):
    assert fetch() == DIGEST
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]
    assert fetch.seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_resumed_where_it_broke(fetch, origin, target):
    origin.break_after = [1_048_576, 524_288]
    fetch()
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in origin.requests] == [
        None,
        "bytes=1048576-",
        "bytes=1572864-",
    ]


def test_a_later_command_goes_on_with_what_an_earlier_one_left(fetch, origin, target):
    origin.break_after = [1_048_576]
    origin.break_after += [0, 0, 0]
    with pytest.raises(DownloadFailed, match="gave up after 4 attempts"):
        fetch()
    origin.break_after = []
    fetch()
    assert target.read_bytes() == CONTENT
    assert origin.requests[-1][1] == "bytes=1048576-"


def test_a_file_that_changed_meanwhile_starts_over(fetch, origin, target):
    origin.break_after = [1_048_576, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    origin.files["/model.onnx"] = bytes(reversed(CONTENT))
    origin.etag = '"v2"'
    origin.break_after = []
    fetch(sha256=None)
    assert target.read_bytes() == bytes(reversed(CONTENT))


def test_a_source_without_ranges_or_version_starts_over(fetch, origin, target):
    origin.ranges = False
    origin.etag = 'W/"weak"'
    origin.break_after = [1_048_576]
    fetch()
    assert target.read_bytes() == CONTENT
    assert [wanted for _, wanted in origin.requests] == [None, None]


def test_a_part_that_is_already_whole_is_fetched_again(fetch, origin, target):
    origin.break_after = [1_048_576, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    target.with_name("model.onnx.part").write_bytes(CONTENT)
    origin.break_after = []
    fetch()
    assert target.read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_not_kept(fetch, target):
    with pytest.raises(DigestMismatch, match=f"sha256 is {DIGEST}, expected {'0' * 64}"):
        fetch(sha256="0" * 64)
    assert list(target.parent.iterdir()) == []


def test_a_server_error_is_tried_again_and_a_client_error_is_not(fetch, origin):
    origin.statuses = [503, 429]
    fetch()
    assert len(origin.requests) == 3
    with pytest.raises(DownloadFailed, match="HTTP 404"):
        fetch(path="/gone.onnx")
    assert len(origin.requests) == 4


def test_a_source_that_keeps_failing_is_given_up(fetch, origin):
    origin.statuses = [500] * 10
    with pytest.raises(DownloadFailed, match="gave up after 3 attempts: HTTP 500"):
        fetch()


def test_an_unreachable_source_is_given_up(target):
    with pytest.raises(DownloadFailed, match="gave up"):
        download(
            "https://127.0.0.1:9/model.onnx",
            target,
            sha256=None,
            size_bytes=None,
            progress=lambda *_: None,
            pause_seconds=0,
        )


def test_more_bytes_than_expected_are_not_stored(fetch, target):
    with pytest.raises(DownloadFailed, match="more than the 1000 bytes"):
        fetch(size_bytes=1000)
    assert list(target.parent.iterdir()) == []


def test_a_redirect_is_followed_but_not_to_plain_http(fetch, origin, target):
    origin.redirects["/latest"] = origin.url + "/model.onnx"
    fetch(path="/latest")
    assert target.read_bytes() == CONTENT
    origin.redirects["/plain"] = "http://127.0.0.1:9/model.onnx"
    with pytest.raises(DownloadFailed):
        fetch(path="/plain")


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name.replace("__", "/"), content)
    return path


def test_one_member_is_taken_out_of_an_archive_wherever_it_lies(tmp_path):
    made = archive(tmp_path / "a.zip", buffalo__det=b"detector", buffalo__other=b"x")
    extract_member(made, "det", tmp_path / "det", size_bytes=8)
    assert (tmp_path / "det").read_bytes() == b"detector"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "det"]


def test_a_missing_or_ambiguous_or_swollen_member_is_refused(tmp_path):
    made = archive(tmp_path / "a.zip", a__det=b"1", b__det=b"2", big=b"0" * 5_000_000)
    for member, reason in [("gone", "0 files"), ("det", "2 files"), ("big", "larger than")]:
        with pytest.raises(DownloadFailed, match=reason):
            extract_member(made, member, tmp_path / "out", size_bytes=10)


def test_something_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(io.BytesIO(b"<html>").getvalue())
    with pytest.raises(DownloadFailed, match="not a zip"):
        extract_member(tmp_path / "a.zip", "det", tmp_path / "out", size_bytes=None)
