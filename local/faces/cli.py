"""`screener faces`: enroll, list, remove and forget known people."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from local.commands.place import home
from local.faces.enrolling import doubts, enrol, merged, removed
from local.faces.forgetting import forget_older_versions, forget_person, forget_video
from local.faces.place import default_index, read_index, write_index
from local.faces.portraits import (
    BUNDLE_NAME,
    UnusablePortraits,
    find_portraits,
    portrait_bundle,
    read_note,
    read_picture,
)
from local.model_call import model_server
from local.packs import select_packs
from local.runs.terminal_text import safe
from screener import aws, bundles
from screener.errors import ScreenerError
from screener.observations import Analyzer, FacesObservations
from screener.policy.loading import DEFAULT_PRESET, load_preset
from screener.storage import S3Location

app = typer.Typer(
    help="The people that a stack looks for.", no_args_is_help=True, rich_markup_mode="rich"
)
Index = Annotated[
    str | None, typer.Option(help="A file or s3://WORK_BUCKET/config/known_faces.npz.")
]
_PER_REQUEST = 64


class NoFacePacks(ScreenerError):
    """This machine has no packs to embed faces with."""


@app.command()
def enroll(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    index: Index = None,
) -> None:
    """Add people from a folder of portraits: one folder per person, or one picture each.

    A person's folder may hold about.yaml with urls and notes. The faces packs must be those of
    the stack that will use the index.

    Example: [bold]screener faces enroll people/[/bold]
    """
    address = index or default_index()
    portraits = find_portraits(folder)
    pictures, usable = [], []
    for portrait in portraits:
        try:
            pictures.append(read_picture(portrait.path))
            usable.append(portrait)
        except UnusablePortraits as error:
            typer.echo(f"left out: {safe(str(error))}", err=True)
    if not pictures:
        raise UnusablePortraits(f"{folder}: no picture could be read")
    notes = {portrait.label: read_note(folder, portrait.label) for portrait in usable}
    enrolment = enrol(usable, _observe(pictures), notes, datetime.now(UTC).isoformat())
    for portrait, reason in enrolment.refused:
        typer.echo(f"left out: {safe(str(portrait.path))}: {reason}", err=True)
    if not enrolment.labels:
        raise UnusablePortraits(f"{folder}: no portrait could be used")
    data = merged(read_index(address), enrolment)
    write_index(address, data)
    policy = load_preset(DEFAULT_PRESET).faces
    name = enrolment.metadata.recogniser.name
    for doubt in doubts(data, policy.thresholds.get(name, policy.default_threshold)):
        typer.echo(f"warning: {safe(doubt)}", err=True)
    people = len(set(enrolment.labels))
    typer.echo(f"{people} people from {len(enrolment.labels)} portraits with {name}: {address}")


@app.command(name="list")
def list_people(index: Index = None) -> None:
    """List the known people.

    Example: screener faces list
    """
    known = read_index(index or default_index())
    if known is None:
        typer.echo("nobody: there is no index")
        return
    for label in known.people:
        note = known.note(label)
        count = known.labels.count(label)
        typer.echo(safe(f"{label}  {count} portraits  {' '.join(note.urls)}  {note.notes}"))
    pack = known.metadata.recogniser
    typer.echo(f"{len(known.people)} people, made with {pack.name} ({pack.sha256[:12]})")


@app.command()
def remove(label: str, index: Index = None) -> None:
    """Take a person out of the index. What was observed of them stays; see `forget`.

    Example: screener faces remove "Ann Example"
    """
    address = index or default_index()
    known = read_index(address)
    if known is None:
        raise UnusablePortraits(f"{address}: there is no index")
    write_index(address, removed(known, label))
    typer.echo(f"removed {safe(label)}")


@app.command()
def forget(
    work_bucket: Annotated[str, typer.Option(help="Where the stack keeps observations.")],
    label: Annotated[str | None, typer.Option(help="A known person.")] = None,
    table: Annotated[str | None, typer.Option(help="The stack's table; with --label.")] = None,
    video_id: Annotated[str | None, typer.Option(help="A video, as documents name it.")] = None,
    index: Index = None,
) -> None:
    """Delete what is stored about a person (index with its history, face observations, rows) or
    about a video (observations, frames, audio). Raw answers of the endpoints are gone a day later.

    Example: [bold]screener faces forget --label "Ann Example" --work-bucket W --table T[/bold]
    """
    if (label is None) == (video_id is None):
        raise typer.BadParameter("give either --label or --video-id")
    if video_id is not None:
        if not video_id.isalnum():
            raise typer.BadParameter("a video id is letters and digits")
        typer.echo(f"deleted {forget_video(aws.s3(), work_bucket, video_id)} objects")
        return
    if table is None or label is None:
        raise typer.BadParameter("--label needs --table, which knows where the person was found")
    address = index or f"s3://{work_bucket}/config/known_faces.npz"
    known = read_index(address)
    if known is not None and label in known.people:
        write_index(address, removed(known, label))
    # Also for a person who was removed earlier.
    if address.startswith("s3://"):
        forget_older_versions(aws.s3(), S3Location.parse(address))
    forgotten = forget_person(aws.s3(), aws.dynamodb(), work_bucket, table, label)
    typer.echo(f"deleted {forgotten.objects} objects and {forgotten.rows} rows")


def _observe(pictures: list[bytes]) -> FacesObservations:
    packs = select_packs(home())[Analyzer.FACES]
    if not packs:
        raise NoFacePacks("no faces packs here: screener packs pull scrfd-10g w600k-r50")
    frames = []
    with model_server(Analyzer.FACES, packs) as call:
        for start in range(0, len(pictures), _PER_REQUEST):
            part = pictures[start : start + _PER_REQUEST]
            observed = FacesObservations.model_validate_json(
                call(bundles.CONTENT_TYPE, portrait_bundle(part), BUNDLE_NAME)
            )
            frames += [
                frame.model_copy(update={"index": frame.index + start}) for frame in observed.frames
            ]
    return observed.model_copy(update={"frames": frames})
