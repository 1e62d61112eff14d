"""How fast the model servers were lately, so that the next result is looked for when it is due.

One item of the videos table (key `paces`) with an attribute per analyzer and size of a request,
`moderation:10`, each a `Pace` as JSON. The size is the power of two that the request's units
(frames, or seconds of sound) stay below: within a factor of two it hardly matters how much of the
time does not depend on the units.

It is a hint. Where it cannot be read, results are looked for as if nothing were known; where it
cannot be written, the next video does without. Neither fails a screening.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, ValidationError

from screener.messages import ExtractedRange
from screener.model import Message
from screener.observations import Analyzer
from screener.settings import DeployedAnalyzer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

# A video's row is named bucket/key, a person's face:...: neither can be this.
ITEM_KEY = "paces"
REMEMBERED = 8
SLOWEST_MS_PER_UNIT = 3_600_000
"""An hour is the longest that a request may take."""


class Pace(Message):
    """The latest requests of one analyzer and one size."""

    served_by: str
    """Weights and instance type; with others it says nothing."""
    ms_per_unit: Annotated[
        list[Annotated[float, Field(gt=0, le=SLOWEST_MS_PER_UNIT)]],
        Field(min_length=1, max_length=REMEMBERED),
    ]
    """Oldest first. Inside the model server: a cold start or a queue is not in it."""

    @property
    def low_ms_per_unit(self) -> float:
        """A little below the median: a result that comes early must not lie for long, and the
        first request of a new instance, which is slow, must not count. `python -m bench.polling`
        shows what that costs and saves."""
        return sorted(self.ms_per_unit)[(len(self.ms_per_unit) - 1) * 3 // 8]


class Measurement(NamedTuple):
    """One request that was served."""

    analyzer: Analyzer
    units: int
    milliseconds: float


class Paces:
    """What is remembered; an empty one knows nothing."""

    def __init__(self, paces: Mapping[str, Pace] | None = None) -> None:
        self._paces = dict(paces or {})

    def expected_seconds(self, analyzer: Analyzer, deployed: DeployedAnalyzer, units: int) -> float:
        """What the model server will take for so many units; 0 when nobody knows."""
        pace = self._paces.get(_name(analyzer, units))
        if pace is None or pace.served_by != _served_by(deployed):
            return 0.0
        return round(pace.low_ms_per_unit * units / 1_000, 3)

    def learning(
        self,
        measurements: Iterable[Measurement],
        deployed: Mapping[Analyzer, DeployedAnalyzer],
    ) -> "Paces":
        """These, with what was measured."""
        return Paces(self._paces | self.changes(measurements, deployed))

    def changes(
        self,
        measurements: Iterable[Measurement],
        deployed: Mapping[Analyzer, DeployedAnalyzer],
    ) -> dict[str, Pace]:
        """The paces that measurements change, by name."""
        changed: dict[str, Pace] = {}
        for analyzer, units, milliseconds in measurements:
            pace = round(milliseconds / units, 6) if units else 0.0
            # What a server says of itself may be nonsense, even not a number.
            if not 0 < pace <= SLOWEST_MS_PER_UNIT:
                continue
            name, served_by = _name(analyzer, units), _served_by(deployed[analyzer])
            known = changed.get(name) or self._paces.get(name)
            before = known.ms_per_unit if known and known.served_by == served_by else []
            latest = [*before, pace][-REMEMBERED:]
            changed[name] = Pace(served_by=served_by, ms_per_unit=latest)
        return changed


def units_of(analyzer: Analyzer, media: ExtractedRange) -> int:
    """What the time of a request grows with: frames, or begun seconds of sound."""
    if analyzer is Analyzer.TRANSCRIPTION:
        return -(-media.audio_duration_ms // 1_000)
    return media.frame_count


def recall(dynamodb: "DynamoDBClient", table: str) -> Paces:
    """What is remembered; nothing when the table does not answer."""
    try:
        item = dynamodb.get_item(TableName=table, Key={"video": {"S": ITEM_KEY}}).get("Item", {})
    except (ClientError, BotoCoreError) as error:
        logger.warning("paces cannot be read: %s", error)
        return Paces()
    found = {}
    for name, value in item.items():
        try:
            found[name] = Pace.model_validate_json(value.get("S", ""))
        except ValidationError:
            # The key itself, or written by another version.
            continue
    return Paces(found)


def remember(
    dynamodb: "DynamoDBClient",
    table: str,
    measurements: Iterable[Measurement],
    deployed: Mapping[Analyzer, DeployedAnalyzer],
) -> None:
    """Add what was measured. Two videos that end together may lose one's; the next brings more."""
    measured = list(measurements)
    if not measured:
        return
    changed = recall(dynamodb, table).changes(measured, deployed)
    if not changed:
        return
    names = {f"#p{place}": name for place, name in enumerate(changed)}
    try:
        dynamodb.update_item(
            TableName=table,
            Key={"video": {"S": ITEM_KEY}},
            UpdateExpression="SET " + ", ".join(f"{one} = :{one[1:]}" for one in names),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                f":{one[1:]}": {"S": changed[name].model_dump_json()} for one, name in names.items()
            },
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("paces cannot be written: %s", error)


def _name(analyzer: Analyzer, units: int) -> str:
    return f"{analyzer}:{units.bit_length()}"


def _served_by(deployed: DeployedAnalyzer) -> str:
    return f"{deployed.instance_type} {deployed.packs_digest}"
