import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from screener import schemas
from screener.composing import judged_document, pipeline_run
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset, preset_bytes
from tests.observation_examples import (
    face,
    faces,
    material,
    moderation,
    objects,
    person_vector,
    transcription,
)

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "schema"


@pytest.mark.parametrize("name", sorted(schemas.published()))
def test_the_published_schema_is_current(name):
    published = (FOLDER / name).read_text("utf-8")
    assert published == schemas.published()[name], (
        "run: .venv/bin/python -m screener.schemas docs/schema"
    )


@pytest.fixture(scope="module")
def document():
    given = material(
        moderation([(0.9, {"FEMALE_BREAST_EXPOSED": 0.8}), (0.1, {})]),
        faces([[face(person_vector(0))], []]),
        transcription("i will kill you"),
        objects([{"person": 0.9}, {"car": 0.4}]),
        frame_count=2,
    )
    return judged_document(
        given,
        judge(given, load_preset(Preset.BALANCED), None),
        pipeline_run("arn:aws:states:::one", None, "2026-11-01T00:00:00+00:00"),
        last_modified=None,
        instance_types=dict.fromkeys(Analyzer, "local"),
    ).model_dump(mode="json")


def validator(name):
    schema = json.loads((FOLDER / name).read_text("utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def test_a_document_is_valid_by_its_published_schema(document):
    validator("document.schema.json").validate(document)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(status="fine"),
        lambda d: d["verdict"].update(decision="maybe"),
        lambda d: d.pop("analyses"),
        lambda d: d["moderation"].update(max_nudenet_score=7),
        lambda d: d["objects"].update(weapon_detected="perhaps"),
    ],
)
def test_the_schema_refuses_what_no_document_may_say(document, spoil):
    spoiled = json.loads(json.dumps(document))
    spoil(spoiled)
    with pytest.raises(jsonschema.ValidationError):
        validator("document.schema.json").validate(spoiled)


@pytest.mark.parametrize("preset", list(Preset))
def test_the_presets_are_valid_by_the_published_schema(preset):
    validator("policy.schema.json").validate(yaml.safe_load(preset_bytes(preset)))


def test_the_document_carries_every_field_of_both_articles(document):
    """The names on the left are those of the two source schemas."""
    where = {
        "video_key": document["video"]["key"],
        "pipeline_execution_id": document["pipeline"]["execution_arn"],
        "processed_at": document["pipeline"]["processed_at"],
        "duration_seconds": document["video"]["duration_ms"],
        "frames_analyzed": document["sampling"]["frames_analyzed"],
        "moderation.flagged": document["moderation"]["flagged"],
        "moderation.max_nudenet_score": document["moderation"]["max_nudenet_score"],
        "moderation.max_opennsfw2_score": document["moderation"]["max_opennsfw2_score"],
        "moderation.flagged_frames": document["moderation"]["flagged_frames"],
        "moderation.per_frame": document["moderation"]["per_frame"],
        "moderation.labels.label": document["moderation"]["labels"][0]["label"],
        "moderation.labels.parent": document["moderation"]["labels"][0]["parent"],
        "moderation.labels.confidence": document["moderation"]["labels"][0]["confidence"],
        "moderation.labels.timestampMs": document["moderation"]["labels"][0]["timestamp_ms"],
        "faces.total_faces_detected": document["faces"]["total_faces_detected"],
        "faces.unique_identities": document["faces"]["unique_identities"],
        "faces.known_matches": document["faces"]["known_matches"],
        "faces.per_frame": document["faces"]["per_frame"],
        "transcription.text": document["transcription"]["text"],
        "transcription.language": document["transcription"]["language"],
        "transcription.flagged_terms": document["transcription"]["flagged_terms"],
        "transcription.segments": document["transcription"]["segments"],
        "objects.detected_classes": document["objects"]["detected_classes"],
        "objects.weapon_detected": document["objects"]["weapon_detected"],
        "objects.scene": document["objects"]["scene_classifications"],
        "objects.per_frame": document["objects"]["per_frame"],
        "transcript.status": document["analyses"]["transcription"]["status"],
        "partial": document["partial"],
    }
    assert None not in where.values()
    assert {"dominant_scene", "scene_scores"} <= set(where["objects.scene"])
