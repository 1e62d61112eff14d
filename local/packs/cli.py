"""`screener packs`: get, check, list, make and publish model packs."""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from local.packs.catalogue import Catalogue, CatalogueEntry, load_catalogue
from local.packs.choice import read_choice, write_choice
from local.packs.cli_make import build, parse_overrides, publish
from local.packs.cli_pull import pull
from local.packs.install import installed_pack
from local.packs.places import Places, packs_folder
from local.packs.selection import select_exactly, select_packs
from screener.errors import ScreenerError
from screener.observations import Analyzer
from screener.packs import read_pack, verify_pack

app = typer.Typer(no_args_is_help=True, help="Get, check, list, make and publish model packs.")
app.command()(pull)
app.command()(build)
app.command()(publish)


@app.command("list")
def list_packs(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="The catalogue alone, as docs/packs.md has it.")
    ] = False,
) -> None:
    """Show every pack: the catalogue's and this machine's own.

    Example: screener packs list
    """
    if as_markdown:
        typer.echo(catalogue_table(load_catalogue()))
        return
    home = Places().home
    rows = [_row(home, entry) for entry in load_catalogue().packs] + _own_rows(home)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    typer.echo(f"{'':10} {'PACK':26} {'FOR':22} {'SIZE':>10}  LICENCE")
    for row in rows:
        size = f"{row.size_bytes / 1e6:,.1f} MB" if row.size_bytes else "?"
        slot = f"{row.analyzer}.{row.role}"
        licence = row.licence.partition(" (")[0]
        typer.echo(f"{row.state:10} {row.name:26} {slot:22} {size:>10}  {licence}")


def catalogue_table(catalogue: Catalogue) -> str:
    """Every pack of the catalogue in the order of preference, as a Markdown table."""
    lines = [
        "| pack | for | what | size | licence | commercial | digest | default |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in catalogue.packs:
        size = f"{entry.size_bytes / 1e6:,.1f} MB" if entry.size_bytes else ""
        commercial = "yes" if entry.commercial_use else "**no**"
        default = "default" if entry.default else ""
        lines.append(
            f"| [{entry.name}]({entry.source}) | {entry.slot} | {entry.summary} | {size} | "
            f"{entry.licence} | {commercial} | {entry.evidence} | {default} |"
        )
    return "\n".join(lines)


class _Row(NamedTuple):
    name: str
    analyzer: Analyzer
    role: str
    state: str
    """"installed", "broken" or empty."""
    size_bytes: int | None
    licence: str
    commercial_use: bool | None
    source: str
    summary: str
    default: bool


def _row(home: Path, entry: CatalogueEntry) -> _Row:
    state, size = "", entry.size_bytes
    try:
        if found := installed_pack(home, entry.name):
            state, size = "installed", sum(file.size_bytes for file in found.pack.files)
    except ScreenerError:
        state = "broken"
    return _Row(
        entry.name,
        entry.analyzer,
        entry.role,
        state,
        size,
        entry.licence,
        entry.commercial_use,
        entry.source,
        entry.summary,
        entry.default,
    )


def _own_rows(home: Path) -> list[_Row]:
    """Installed packs that the catalogue does not know, such as custom weights."""
    known = {entry.name for entry in load_catalogue().packs}
    rows = []
    for path in sorted(packs_folder(home).glob("*")):
        if path.name in known or not path.is_dir():
            continue
        try:
            pack = read_pack(path).pack
        except ScreenerError as error:
            typer.echo(f"broken     {path.name:26} {error}", err=True)
            continue
        size = sum(file.size_bytes for file in pack.files)
        rows.append(
            _Row(
                pack.name,
                pack.analyzer,
                pack.role,
                "installed",
                size,
                pack.licence,
                None,
                pack.source,
                "your own",
                False,
            )
        )
    return rows


@app.command()
def use(
    choices: Annotated[
        list[str] | None, typer.Argument(help="ANALYZER.ROLE=PACK, or ANALYZER.ROLE= to undo.")
    ] = None,
) -> None:
    """Choose between installed packs, for the local stack and `publish`; show what is used.

    Example: screener packs use objects.detector=yolov8m
    """
    home = Places().home
    try:
        if choices:
            chosen = read_choice(home) | parse_overrides(choices, "ANALYZER.ROLE=PACK")
            chosen = {slot: name for slot, name in chosen.items() if name}
            select_exactly(home, chosen)
            write_choice(home, chosen)
        for packs in select_packs(home).values():
            for found in packs:
                slot = f"{found.pack.analyzer}.{found.pack.role}"
                typer.echo(f"{slot:22} {found.pack.name}")
    except ScreenerError as error:
        typer.echo(f"failed     {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Installed packs; all of them by default.")
    ] = None,
) -> None:
    """Hash every byte of installed packs and refuse what does not belong there.

    Example: screener packs verify
    """
    root = packs_folder(Places().home)
    folders = [root / name for name in names or []] or sorted(
        path for path in root.glob("*") if path.is_dir()
    )
    failed = 0
    for folder in folders:
        try:
            pack = verify_pack(folder).pack
            typer.echo(f"ok         {pack.name:26} {pack.digest}")
        except ScreenerError as error:
            typer.echo(f"refused    {folder.name:26} {error}", err=True)
            failed = 1
    raise typer.Exit(failed)


if __name__ == "__main__":
    app()
