"""`screener report`: a document as a page, subtitles and edit lists."""

from pathlib import Path
from typing import Annotated

import typer

from local.documents import read_document
from local.report.writing import EXPORTS, s3_bundles, write_export, write_report
from screener import aws
from screener.storage import DOCUMENT_SUFFIX

HELP = """Write a report that explains a document.

[bold]screener report video.moderation.json[/bold]

[bold]screener report s3://bucket/uploads/video.moderation.json --work-bucket BUCKET[/bold]

The page is one file that needs nothing else and works from a disk or a mail. Frames are
blurred until the reader asks to see them; --no-originals leaves the clear ones out.
"""


def report(
    document: Annotated[str, typer.Argument(help="A document: a file or an s3:// address.")],
    out: Annotated[
        Path | None, typer.Option(help="The page. Default: beside the document, or here.")
    ] = None,
    work_bucket: Annotated[
        str | None, typer.Option(help="Where the stack keeps frames; without it, no pictures.")
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(help="Also write the transcript (.vtt) or the findings (.csv, .edl)."),
    ] = None,
    mask_terms: Annotated[
        bool, typer.Option("--mask-terms", help="Do not repeat flagged words in full.")
    ] = False,
    originals: Annotated[bool, typer.Option(help="Let the page show frames without blur.")] = True,
) -> None:
    """Write a report that explains a document."""
    for target in export or []:
        if target.suffix not in EXPORTS:
            raise typer.BadParameter(f"{target}: exports end in {', '.join(EXPORTS)}")
    given = read_document(document)
    target = out or _default_target(document)
    bundles = s3_bundles(aws.s3(), work_bucket, given) if work_bucket else None
    typer.echo(
        write_report(given, target, open_bundle=bundles, masked=mask_terms, originals=originals)
    )
    for companion in export or []:
        typer.echo(write_export(given, companion, masked=mask_terms))


def _default_target(document: str) -> Path:
    name = document.rpartition("/")[2].removesuffix(DOCUMENT_SUFFIX).removesuffix(".json")
    folder = Path() if "://" in document else Path(document).parent
    return folder / f"{name}.report.html"
