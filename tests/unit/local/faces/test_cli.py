"""Enrolling with real weights: the command, the faces server, and the judgement together."""

import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from local.faces.cli import app
from local.faces.portraits import BUNDLE_NAME, portrait_bundle, read_picture
from local.model_call import model_server
from local.packs.selection import select_packs
from screener import bundles
from screener.observations import Analyzer, FacesObservations
from screener.policy.faces import Faces
from screener.policy.known_faces import load_known_faces
from screener.policy.model import FacesPolicy
from tests.model_packs import face_packs


@pytest.fixture
def home(tmp_path, monkeypatch, model_mirror):
    folder = tmp_path / "home"
    (folder / "packs").mkdir(parents=True)
    face_packs(folder / "packs", model_mirror)
    monkeypatch.setenv("SCREENER_HOME", str(folder))
    return folder


def test_a_person_who_was_enrolled_is_found_in_another_picture(home, tmp_path, test_media):
    people = tmp_path / "people" / "Obama"
    people.mkdir(parents=True)
    shutil.copy(test_media / "images" / "obama.jpg", people / "1.jpg")
    (tmp_path / "people" / "broken.jpg").write_bytes(b"no picture")
    (people / "about.yaml").write_text("notes: public figure\n")
    index = home / "config" / "known_faces.npz"

    result = CliRunner().invoke(app, ["enroll", str(tmp_path / "people")])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "1 people from 1 portraits" in result.output
    assert "broken.jpg: not a readable picture" in result.output
    assert index.stat().st_mode & 0o077 == 0

    listed = CliRunner().invoke(app, ["list"])
    assert "Obama  1 portraits" in listed.output
    assert "public figure" in listed.output

    packs = select_packs(home)[Analyzer.FACES]
    with model_server(Analyzer.FACES, packs) as call:
        other = read_picture(test_media / "images" / "obama2.jpg")
        seen = FacesObservations.model_validate_json(
            call(bundles.CONTENT_TYPE, portrait_bundle([other, other]), BUNDLE_NAME)
        )
    known = load_known_faces(index.read_bytes())
    (match,) = Faces([seen], FacesPolicy(default_threshold=0.5), known).matches
    assert match.label == "Obama"
    assert match.max_similarity > 0.5

    gone = CliRunner().invoke(app, ["remove", "Obama"])
    assert gone.exit_code == 0
    assert load_known_faces(index.read_bytes()).people == ()


def test_without_packs_the_command_says_which_to_get(tmp_path, monkeypatch):
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path / "empty"))
    Image.new("RGB", (32, 32)).save(tmp_path / "Ann.jpg")
    result = CliRunner().invoke(app, ["enroll", str(tmp_path)])
    assert "screener packs pull" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--label", "a", "--video-id", "b"],
        [],
        ["--label", "a"],
        ["--video-id", "../x"],
    ],
)
def test_forget_refuses_what_is_not_clear(arguments):
    result = CliRunner().invoke(app, ["forget", "--work-bucket", "work", *arguments])
    assert result.exit_code == 2
