"""`screener packs build` and `screener packs publish`."""

from pathlib import Path
from typing import Annotated

import typer

from local.packs.build import (
    Order,
    build_pack,
    order_for_own_detector,
    order_from_catalogue,
)
from local.packs.catalogue import CatalogueEntry, load_catalogue
from local.packs.environment import build_environment
from local.packs.places import Places
from local.packs.recipes.contract import Precision
from local.packs.selection import select_packs
from screener.errors import ScreenerError
from screener.observations import Analyzer


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
        Precision,
        typer.Option(help="A second pack: <name>-fp16 for GPUs, <name>-int8 for CLIP on CPUs."),
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
    """Export weights to ONNX with their own library, compare the two, and install the pack.

    Example: screener packs build clip-vit-l-14 --precision fp16
    """
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
                licence=licence,
                precision=precision,
                mirror=places.mirror,
            )
        _build(order, places.home, images, torch_index)
    except ScreenerError as error:
        typer.echo(f"failed     {error}", err=True)
        raise typer.Exit(1) from error


def build_named(entry: CatalogueEntry, home: Path) -> None:
    """Build a pack of the catalogue from its official weights, and say how well it matches.

    Raises:
        BuildFailed, InvalidPack: see `build_pack`.
    """
    order = order_from_catalogue(
        entry, name=None, weights=None, licence=None, precision=Precision.FP32, mirror=None
    )
    _build(order, home, None, None)


def _build(order: Order, home: Path, images: Path | None, torch_index: str | None) -> None:
    built = build_pack(
        order,
        home,
        lambda: build_environment(home, lambda text: typer.echo(text, err=True), torch_index),
        images,
    )
    typer.echo(f"built      {built.pack.name:26} {built.pack.digest}")
    for parity in built.pack.provenance["parity"]:
        typer.echo(f"           {parity['measure']}: {parity['value']:.3g} of {parity['limit']:g}")


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
    """Upload the chosen packs for SageMaker and print the template's parameters.

    Example: screener packs publish s3://BUCKET
    """
    # Imported here: boto3 takes longer than the other commands do altogether.
    from local.packs.publish import Target, publish_packs
    from screener import aws

    try:
        place = Target.parse(target)
        selected = select_packs(Places().home, parse_overrides(use or [], "ANALYZER.ROLE=PACK"))
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


def parse_overrides(given: list[str], what: str) -> dict[str, str]:
    """["objects.detector=yolov8m"] to {"objects.detector": "yolov8m"}."""
    overrides = {}
    for text in given:
        slot, equals, name = text.partition("=")
        if not equals or "." not in slot:
            raise typer.BadParameter(f"{text!r} is not {what}")
        overrides[slot] = name
    return overrides
