import json
from pathlib import Path

import pytest

from screener.errors import InvalidPack
from screener.observations import Analyzer
from screener.packs import PACK_FILE, Pack, PackFile, describe_file, find_packs, verify_pack


@pytest.fixture
def folder(tmp_path):
    """A sound pack of one JSON file and one text file below a folder."""
    pack_folder = tmp_path / "small"
    (pack_folder / "texts").mkdir(parents=True)
    (pack_folder / "config.json").write_text('{"layers": 2}')
    (pack_folder / "texts" / "words.txt").write_text("one\ntwo\n")
    write(pack_folder, ["config.json", "texts/words.txt"])
    return pack_folder


def write(folder: Path, paths: list[str], **changes: object) -> Pack:
    pack = Pack(
        name="small",
        version="1",
        analyzer=Analyzer.TRANSCRIPTION,
        role="speech",
        source="https://example.org/small",
        licence="MIT",
        files=[describe_file(folder, path) for path in paths],
    ).model_copy(update=changes)
    (folder / PACK_FILE).write_text(pack.model_dump_json())
    return pack


def test_a_sound_pack_is_verified(folder):
    verified = verify_pack(folder)
    assert verified.pack.name == "small"
    assert verified.path_of("texts/words.txt").read_text() == "one\ntwo\n"


def test_one_changed_byte_is_refused(folder):
    content = bytearray((folder / "config.json").read_bytes())
    content[-2] ^= 1
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InvalidPack, match=r"config\.json is not the file"):
        verify_pack(folder)


def test_a_missing_file_is_refused(folder):
    (folder / "texts" / "words.txt").unlink()
    with pytest.raises(InvalidPack, match=r"words\.txt is missing"):
        verify_pack(folder)


def test_a_file_that_nobody_listed_is_refused(folder):
    (folder / "texts" / "extra.json").write_text("{}")
    with pytest.raises(InvalidPack, match=r"texts/extra\.json is not listed"):
        verify_pack(folder)


@pytest.mark.parametrize("path", ["../outside.json", "texts/../../outside.json"])
def test_a_path_outside_the_folder_is_refused(folder, path):
    outside = folder.parent / "outside.json"
    outside.write_text("{}")
    described = describe_file(folder.parent, "outside.json")
    # The pattern of `path` already refuses a leading dot, so both lines of defence are tried.
    text = json.loads((folder / PACK_FILE).read_text())
    text["files"].append(described.model_dump() | {"path": path})
    (folder / PACK_FILE).write_text(json.dumps(text))
    with pytest.raises(InvalidPack, match=r"leads outside|String should match pattern"):
        verify_pack(folder)


def test_a_link_is_refused_even_to_the_right_bytes(folder):
    target = folder.parent / "words.txt"
    (folder / "texts" / "words.txt").rename(target)
    (folder / "texts" / "words.txt").symlink_to(target)
    with pytest.raises(InvalidPack, match=r"texts/words\.txt is a link"):
        verify_pack(folder)


def test_a_linked_folder_is_refused(folder):
    target = folder.parent / "texts"
    (folder / "texts").rename(target)
    (folder / "texts").symlink_to(target, target_is_directory=True)
    with pytest.raises(InvalidPack, match=r"texts is a link"):
        verify_pack(folder)


def test_a_file_that_is_not_what_its_name_says_is_refused_though_its_digest_is_right(folder):
    (folder / "config.json").write_bytes(b"\x80\x04]\x94.")
    write(folder, ["config.json", "texts/words.txt"])
    with pytest.raises(InvalidPack, match=r"config\.json"):
        verify_pack(folder)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', "\xff" * 20, "{" * 100_000], ids=range(6)
)
def test_a_malformed_description_is_refused(folder, text):
    (folder / PACK_FILE).write_text(text, encoding="latin-1")
    with pytest.raises(InvalidPack, match=r"pack\.json"):
        verify_pack(folder)


def test_a_huge_description_is_not_read(folder):
    with (folder / PACK_FILE).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidPack, match="larger than"):
        verify_pack(folder)


def test_a_folder_without_description_is_refused(tmp_path):
    with pytest.raises(InvalidPack, match=r"cannot read pack\.json"):
        verify_pack(tmp_path)


def test_packs_are_found_by_name_and_a_root_that_is_missing_holds_none(folder):
    assert [found.folder for found in find_packs(folder.parent)] == [folder]
    assert find_packs(folder.parent / "nowhere") == []


def test_the_digest_follows_what_can_change_a_result_and_not_where_bytes_came_from():
    file = PackFile(path="a.onnx", sha256="0" * 64, size_bytes=1)
    pack = Pack(
        name="a",
        version="1",
        analyzer=Analyzer.OBJECTS,
        role="detector",
        source="somewhere",
        licence="MIT",
        files=[file],
        class_names=["cat"],
    )
    assert pack.digest == pack.model_copy(update={"provenance": {"origin": "a wheel"}}).digest
    for change in (
        {"class_names": ["dog"]},
        {"version": "2"},
        {"parameters": {"logit_scale": 100.0}},
        {"files": [file.model_copy(update={"sha256": "1" * 64})]},
    ):
        assert pack.model_copy(update=change).digest != pack.digest
