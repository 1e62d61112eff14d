import io

import pytest
from PIL import Image

from local.faces.portraits import (
    SIDE_PX,
    UnusablePortraits,
    find_portraits,
    portrait_bundle,
    read_note,
    read_picture,
)
from screener.bundles import BundleReader


def picture(path, size=(64, 48), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path, **options)
    return path


def test_folders_and_single_pictures_name_people(tmp_path):
    picture(tmp_path / "Ann Example" / "1.jpg")
    picture(tmp_path / "Ann Example" / "2.PNG")
    picture(tmp_path / "Zoë.jpg")
    (tmp_path / "Ann Example" / "about.yaml").write_text("urls: []\n")
    (tmp_path / "notes.txt").write_text("x")
    found = [(item.label, item.path.name) for item in find_portraits(tmp_path)]
    assert sorted(found) == [("Ann Example", "1.jpg"), ("Ann Example", "2.PNG"), ("Zoë", "Zoë.jpg")]


def test_links_are_not_followed(tmp_path):
    outside = picture(tmp_path / "outside" / "secret.jpg")
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "x.jpg").symlink_to(outside)
    with pytest.raises(UnusablePortraits, match="no pictures"):
        find_portraits(folder)


def test_notes_have_links_and_words(tmp_path):
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "about.yaml").write_text("urls: [https://example.org]\nnotes: banned\n")
    note = read_note(tmp_path, "Ann")
    assert (note.urls, note.notes) == (["https://example.org"], "banned")
    assert read_note(tmp_path, "Bob").urls == []


@pytest.mark.parametrize("text", ["urls: [javascript:x]", "colour: red", "- 1", "[", "urls: 7"])
def test_a_wrong_note_is_refused_with_its_file(tmp_path, text):
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "about.yaml").write_text(text)
    with pytest.raises(UnusablePortraits, match=r"about\.yaml"):
        read_note(tmp_path, "Ann")


def test_pictures_are_turned_upright_and_fitted_into_a_square(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright: turn by 90 degrees
    path = picture(tmp_path / "a.jpg", (3_000, 2_000), exif=exif)
    with Image.open(io.BytesIO(read_picture(path))) as read:
        assert read.size == (SIDE_PX, SIDE_PX)
        assert read.getpixel((SIDE_PX // 2, 10))[0] > 150  # full height,
        assert read.getpixel((10, SIDE_PX // 2))[0] < 50  # with bars at the sides


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnusablePortraits, match=r"a\.png: not a readable picture"):
        read_picture(path)


def test_a_picture_that_unfolds_too_far_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 6_000)).save(path)
    with pytest.raises(UnusablePortraits, match="pixels"):
        read_picture(path)


def test_pictures_become_a_bundle(tmp_path):
    pictures = [read_picture(picture(tmp_path / f"{n}.jpg", (32 + n, 32))) for n in range(3)]
    frames = list(BundleReader(portrait_bundle(pictures)))
    assert [frame.jpeg for frame in frames] == pictures
