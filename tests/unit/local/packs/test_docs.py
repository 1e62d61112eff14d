"""The pages that a user decides by must not fall behind the catalogue."""

from pathlib import Path

from typer.testing import CliRunner

from local.packs.catalogue import load_catalogue
from local.packs.cli import app

DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_on_packs_shows_the_catalogue_as_it_is():
    page = (DOCS / "packs.md").read_text()
    shown = page.partition("-->\n")[2].partition("\n<!-- /packs")[0]
    assert shown == CliRunner().invoke(app, ["list", "--markdown"]).stdout.strip()


def test_the_page_on_licences_names_every_licence_of_weights():
    page = (DOCS / "licences.md").read_text()
    for entry in load_catalogue().packs:
        assert entry.name in page, entry.name
        assert entry.licence.partition(" (")[0] in page, entry.licence
