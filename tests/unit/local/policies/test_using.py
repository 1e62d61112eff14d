import json

import boto3
import pytest
from typer.testing import CliRunner

from local.packs.selection import select_packs
from local.policies.cli import app
from local.policies.embedding import NoEmbeddings, embed_at_endpoint, embed_here, key_of
from local.policies.using import HomeConfiguration, prepare_home, use_policy
from screener import storage
from screener.errors import InvalidPolicy
from screener.observations import Analyzer, TextEmbeddings
from screener.policy.loading import Preset, load_preset, preset_bytes
from tests.aws_stand_in import WORK_BUCKET, stand_in
from tests.model_packs import random_clip
from tests.observation_examples import person_vector, text_embeddings

BALANCED = load_preset(Preset.BALANCED)
PROMPTS = BALANCED.scenes.prompts
EMBEDDINGS = text_embeddings({prompt: person_vector(n) for n, prompt in enumerate(PROMPTS)})


@pytest.fixture
def clip_home(tmp_path, monkeypatch):
    """A home whose only objects pack is a CLIP of random weights."""
    (tmp_path / "packs").mkdir()
    random_clip(tmp_path / "packs")
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path))
    return tmp_path


def test_prompts_are_embedded_once_with_a_clip_of_random_weights(clip_home):
    packs = select_packs(clip_home)[Analyzer.OBJECTS]
    (key,) = prepare_home(clip_home, packs)
    stored = TextEmbeddings.model_validate_json((clip_home / key).read_bytes())
    assert stored.texts == PROMPTS
    assert key_of(BALANCED, stored) == key
    before = (clip_home / key).stat().st_mtime_ns
    assert prepare_home(clip_home, packs) == [key]
    assert (clip_home / key).stat().st_mtime_ns == before


def test_use_puts_policy_and_embeddings_into_the_home(clip_home):
    result = CliRunner().invoke(app, ["use", "strict"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert (clip_home / storage.POLICY_KEY).read_bytes() == preset_bytes(Preset.STRICT)
    packs = select_packs(clip_home)[Analyzer.OBJECTS]
    assert len(prepare_home(clip_home, packs)) == 2


def test_without_a_clip_pack_the_policy_is_used_and_said_to_lack_scenes(tmp_path, monkeypatch):
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["use", "permissive"])
    assert result.exit_code == 0
    assert "scenes stay not evaluated" in result.stderr
    assert prepare_home(tmp_path, []) == [storage.POLICY_KEY]


def test_a_broken_policy_is_not_put_into_use(tmp_path, monkeypatch):
    monkeypatch.setenv("SCREENER_HOME", str(tmp_path))
    broken = tmp_path / "broken.yaml"
    broken.write_text("rules: 1\n")
    assert CliRunner().invoke(app, ["use", str(broken)]).exit_code == 1
    assert not (tmp_path / storage.POLICY_KEY).exists()


def test_a_stack_with_a_broken_policy_does_not_start(tmp_path):
    path = tmp_path / storage.POLICY_KEY
    path.parent.mkdir()
    path.write_text("rules: 1\n")
    with pytest.raises(InvalidPolicy, match=r"policy\.yaml:1:1"):
        prepare_home(tmp_path, [])


def test_embeddings_are_written_before_the_policy_that_needs_them(tmp_path):
    written = use_policy(
        HomeConfiguration(tmp_path), preset_bytes(Preset.BALANCED), BALANCED, EMBEDDINGS
    )
    assert written == [
        str(tmp_path / key_of(BALANCED, EMBEDDINGS)),
        str(tmp_path / storage.POLICY_KEY),
    ]


def test_without_clip_there_is_nothing_to_embed_with():
    with pytest.raises(NoEmbeddings, match="screener packs pull"):
        embed_here(BALANCED, [])


class Runtime:
    """Stands at the place of the SageMaker runtime: writes what an endpoint would write."""

    def __init__(self, s3, output=None, failure=None):
        self._s3, self._output, self._failure = s3, output, failure
        self.asked = []

    def invoke_endpoint_async(self, **request):
        self.asked.append(request)
        for key, body in (("out", self._output), ("failure", self._failure)):
            if body is not None:
                self._s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=body)
        return {
            "OutputLocation": f"s3://{WORK_BUCKET}/out",
            "FailureLocation": f"s3://{WORK_BUCKET}/failure",
        }


@pytest.fixture
def aws():
    with stand_in() as account:
        yield account


def test_a_deployed_endpoint_can_embed(aws):
    runtime = Runtime(aws.s3, output=EMBEDDINGS.model_dump_json().encode())
    found = embed_at_endpoint(BALANCED, "stack-objects", aws.s3, runtime, WORK_BUCKET)
    assert found == EMBEDDINGS
    (asked,) = runtime.asked
    source = asked["InputLocation"].removeprefix(f"s3://{WORK_BUCKET}/")
    body = aws.s3.get_object(Bucket=WORK_BUCKET, Key=source)["Body"].read()
    assert json.loads(body) == {"texts": PROMPTS}


def test_the_request_is_one_that_sagemaker_accepts(aws):
    """Every name in it is a parameter of the real client's operation."""
    runtime = Runtime(aws.s3, output=EMBEDDINGS.model_dump_json().encode())
    embed_at_endpoint(BALANCED, "stack-objects", aws.s3, runtime, WORK_BUCKET)
    client = boto3.client("sagemaker-runtime", region_name="us-east-1")
    shape = client.meta.service_model.operation_model("InvokeEndpointAsync").input_shape
    assert set(runtime.asked[0]) <= set(shape.members)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"failure": b"UnsupportedContentType"}, "UnsupportedContentType"),
        ({"output": b"{}"}, "does not answer with embeddings"),
    ],
)
def test_an_endpoint_that_cannot_embed_is_an_error_with_its_words(aws, answer, reason):
    with pytest.raises(NoEmbeddings, match=reason):
        embed_at_endpoint(BALANCED, "objects", aws.s3, Runtime(aws.s3, **answer), WORK_BUCKET)
