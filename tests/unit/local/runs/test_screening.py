"""Keys of uploads and paths of documents, for names of every kind."""

import os
from pathlib import Path

import pytest

from local.runs.screening import (
    NotAcceptable,
    check_file,
    document_path,
    upload_key,
    write_document,
)
from tests.unit.local.stack.test_instance import description

STACK = description("http://127.0.0.1:1", Path("/tmp"))  # noqa: S108 - never used


def test_a_path_has_one_key_and_two_paths_have_two(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "clip.mp4", tmp_path / "b" / "clip.mp4"
    assert upload_key(one, STACK) == upload_key(one, STACK)
    assert upload_key(one, STACK) != upload_key(other, STACK)
    assert upload_key(one, STACK).startswith("uploads/")
    assert upload_key(one, STACK).endswith("/clip.mp4")


def test_names_that_are_no_text_still_make_a_key() -> None:
    name = os.fsdecode(b"caf\xe9\n.MP4")
    assert upload_key(Path("/v") / name, STACK).endswith("/caf?_.MP4")


def test_a_name_that_starts_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(NotAcceptable, match=r"notes\.txt: .*\.mp4"):
        upload_key(Path("/v/notes.txt"), STACK)


def test_a_name_too_long_for_s3_is_refused() -> None:
    with pytest.raises(NotAcceptable, match="1024 bytes"):
        upload_key(Path("/v") / ("é" * 600 + ".mp4"), STACK)


@pytest.mark.parametrize(("name", "complaint"), [("gone.mp4", "no such file"), (".", "not a file")])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(NotAcceptable, match=complaint):
        check_file(tmp_path / name)


def test_documents_of_one_stem_get_their_own_paths() -> None:
    taken: set[Path] = set()
    assert document_path(Path("/v/b.mp4"), None, taken) == Path("/v/b.moderation.json")
    assert document_path(Path("/v/b.mov"), None, taken) == Path("/v/b.mov.moderation.json")
    assert document_path(Path("/v/b.mp4"), Path("/o"), taken) == Path("/o/b.moderation.json")


def test_documents_of_one_name_from_many_folders_never_share_a_path() -> None:
    taken: set[Path] = set()
    paths = [document_path(Path(f"/{place}/b.mp4"), Path("/o"), taken) for place in "abcd"]
    assert [path.name.removesuffix(".moderation.json") for path in paths] == [
        "b",
        "b.mp4",
        "b.mp4.2",
        "b.mp4.3",
    ]


def test_a_document_is_written_whole_into_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.moderation.json"
    write_document(path, b"first")
    write_document(path, b"second")
    assert path.read_bytes() == b"second"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_document_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.moderation.json").mkdir()
    (tmp_path / "a.moderation.json" / "x").touch()
    with pytest.raises(OSError, match=r"a\.moderation\.json"):
        write_document(tmp_path / "a.moderation.json", b"x")
    assert [one.name for one in tmp_path.iterdir()] == ["a.moderation.json"]
