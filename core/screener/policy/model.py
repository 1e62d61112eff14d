"""The policy file: how observations become a verdict. One YAML file, typed and versioned.

docs/policy.md explains every field with the numbers behind the defaults. Fields without a
default must be written, so that a policy shows what it decides.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from screener import identity, taxonomy
from screener.document import Decision
from screener.model import Message
from screener.observations import Analyzer
from screener.taxonomy import Source

# Strict, because YAML reads "no" as a boolean, and a boolean would pass for a number.
Threshold = Annotated[float, Field(strict=True, ge=0, le=1)]
Cosine = Annotated[float, Field(strict=True, ge=-1, le=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Milliseconds = Annotated[int, Field(strict=True, ge=0)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


def _known_category(path: str) -> str:
    if path not in taxonomy.load().categories:
        raise ValueError(f"{path!r} is not a category of the taxonomy")
    return path


Category = Annotated[str, Field(max_length=200), AfterValidator(_known_category)]


def _nudenet_label(label: str) -> str:
    # Observations are looked up under the model's own spelling: a threshold under another one
    # would be accepted and never asked.
    if taxonomy.load().of_label(Source.NUDENET, label) is None or label != label.upper():
        raise ValueError(f"{label!r} is not a NudeNet label; they are written in capitals")
    return label


NudenetLabel = Annotated[str, AfterValidator(_nudenet_label)]


class Consensus(StrEnum):
    """How NudeNet and OpenNSFW2 together decide about explicit nudity."""

    BOTH = "both"
    EITHER = "either"
    NUDENET = "nudenet"
    OPENNSFW2 = "opennsfw2"


class Persistence(Message):
    """How much of something must be seen before it counts."""

    min_frames: Count = 1
    """Sampled frames within one segment."""
    min_duration_ms: Milliseconds = 0
    """From the first to the last hit of the segment, each with the time its frame stands for."""
    merge_gap_ms: Milliseconds = 2_000
    """Hits at most this far apart are one segment."""


class ModerationPolicy(Message):
    consensus: Consensus
    opennsfw2_threshold: Threshold
    nudenet_thresholds: dict[NudenetLabel, Threshold]
    """Per label; a label that is not listed is ignored."""
    persistence: Persistence = Persistence()


class FacesPolicy(Message):
    default_threshold: Cosine
    """Cosine similarity from which a face is a known person."""
    thresholds: dict[str, Cosine] = {}
    """Per recogniser pack, by name: similarities of different networks do not compare."""
    margin: Annotated[float, Field(strict=True, ge=0, le=2)] = 0.05
    """The second-best person must be this much less similar, else the match is uncertain."""
    min_detection_score: Threshold = 0.5
    known_faces: Literal["optional", "required"] = "optional"
    """Required: a stack without an index cannot answer, so rules about people ask for review."""
    persistence: Persistence = Persistence()


class Term(Message):
    term: Text
    category: Category
    inflect: bool = True
    """Also match the endings that the language puts on it."""
    obfuscated: bool = True
    """Also match "f.u.c.k", "fu ck", "f*ck", "fuuuck" and "sh1t"."""


class SpeechPolicy(Message):
    terms: dict[Annotated[str, Field(pattern=r"^([a-z]{2,3}|any)$")], list[Term]] = {}
    """Per spoken language (ISO 639), or "any" for all. Speech in a language without a list
    is not evaluated."""
    allow: list[Text] = []
    """Words and phrases that are fine though they contain a term."""
    min_word_probability: Threshold = 0.5
    """Matches on words that were heard with less are uncertain."""


class ObjectClass(Message):
    threshold: Threshold
    category: Category | None = None
    """Replaces the taxonomy's category of this class."""
    persistence: Persistence | None = None
    """Replaces the objects' persistence for this class."""


class ObjectsPolicy(Message):
    min_confidence: Threshold = 0.25
    """Detections below it are not reported at all, unless a threshold of theirs is lower."""
    classes: dict[Text, ObjectClass] = {}
    """Classes that make findings; all others are only listed."""
    weapon_threshold: Threshold
    """For every class that the taxonomy files under violence.weapons."""
    persistence: Persistence = Persistence()


class Scene(Message):
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=100)]
    category: Category
    prompts: Annotated[list[Text], Field(min_length=1, max_length=50)]
    threshold: Threshold
    """Probability of all its prompts together against the contrast prompts."""
    persistence: Persistence | None = None


class ScenesPolicy(Message):
    contrast: list[Text] = []
    """Harmless scenes that the prompts compete with."""
    scenes: list[Scene] = []
    persistence: Persistence = Persistence(min_frames=2)

    @model_validator(mode="after")
    def _comparable(self) -> "ScenesPolicy":
        if self.scenes and not self.contrast:
            raise ValueError("scenes need contrast prompts: probabilities are relative to them")
        prompts = self.prompts
        if len(set(prompts)) != len(prompts):
            raise ValueError("a prompt is listed twice")
        if len({scene.name for scene in self.scenes}) != len(self.scenes):
            raise ValueError("two scenes have the same name")
        return self

    @property
    def prompts(self) -> list[str]:
        """Every text that needs an embedding, in order."""
        return [prompt for scene in self.scenes for prompt in scene.prompts] + self.contrast


class Rule(Message):
    """What a finding means. All rules are asked; the gravest answer is the verdict."""

    category: Category
    """Taxonomy path; everything below it is meant too."""
    decision: Decision
    """"approve" notes the finding among the reasons and changes nothing."""
    sources: list[Source] | None = None
    """Only findings of these; None means all."""
    min_confidence: Threshold = 0.0
    min_total_ms: Milliseconds = 0
    """Time that the findings cover together."""
    if_not_evaluated: Literal["review", "ignore"] = "review"
    """When something that answers this rule could not be asked."""


class Policy(Message):
    """A whole policy file."""

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    version: Annotated[str, Field(min_length=1, max_length=50)]
    description: Annotated[str, Field(max_length=2_000)] = ""
    required_analyses: list[Analyzer]
    """Without one of these there is no approval."""
    on_media_loss: Literal["review", "ignore"] = "review"
    """When parts of the video could not be decoded."""
    max_per_frame_entries: Annotated[int, Field(strict=True, ge=0)] = 3_600
    """Longest `per_frame` list with frames that have no finding."""
    moderation: ModerationPolicy
    faces: FacesPolicy
    speech: SpeechPolicy
    objects: ObjectsPolicy
    scenes: ScenesPolicy
    rules: list[Rule]

    @property
    def sha256(self) -> str:
        return identity.digest_of(
            ["policy", identity.canonical_json(self.model_dump(mode="json"))], 64
        )
