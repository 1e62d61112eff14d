"""The steps of a deploy: which programs run with which arguments, what is noted between them."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.operate.deploy import Deployer, DeployFailed, Step, overrides, run_in
from local.operate.environments import Environment, read_published
from local.operate.stacks import Clients
from screener import identity
from screener.observations import Analyzer
from screener.packs import Pack, describe_file

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ARTIFACTS = {
    "Resources": {"PacksBucket": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {
        "PacksBucketName": {"Value": {"Ref": "PacksBucket"}},
        **{
            f"{analyzer.capitalize()}RepositoryUri": {"Value": f"{REGISTRY}/screener/{analyzer}"}
            for analyzer in Analyzer
        },
    },
}
CONFIG = """
[dev.global.parameters]
region = "us-east-1"
stack_name = "screener-dev"
[dev.deploy.parameters]
parameter_overrides = ["FacesMaxInstances=1"]
"""


class Programs:
    """Takes the place of docker and sam: notes the calls, writes what `bake` would."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.inputs: list[str | None] = []

    def __call__(self, command: Sequence[str], *, stdin: str | None = None) -> None:
        self.calls.append(list(command))
        self.inputs.append(stdin)
        if "bake" in command:
            built = {
                str(analyzer): {"containerimage.digest": f"sha256:{number}" + "a" * 63}
                for number, analyzer in enumerate(Analyzer)
            }
            Path(command[command.index("--metadata-file") + 1]).write_text(json.dumps(built))


def deployer(root: Path, aws: Clients, programs: Programs, said: list[str]) -> Deployer:
    (root / "samconfig.toml").write_text(CONFIG, "utf-8")
    (root / "docker-bake.hcl").touch()
    aws("cloudformation").create_stack(
        StackName="screener-dev-artifacts", TemplateBody=json.dumps(ARTIFACTS)
    )
    return Deployer(
        root=root, home=root / "home", name="dev", client=aws, run=programs, say=said.append
    )


def install_pack(home: Path) -> Pack:
    folder = home / "packs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "labels.json").write_text('["a"]', "utf-8")
    pack = Pack(
        name="tiny",
        version="1",
        analyzer=Analyzer.FACES,
        role="detector",
        source="made here",
        licence="Apache-2.0",
        files=[describe_file(folder, "labels.json")],
    )
    (folder / "pack.json").write_text(pack.model_dump_json(), "utf-8")
    return pack


def test_images_are_pushed_by_digest_and_noted(tmp_path: Path, aws: Clients) -> None:
    programs = Programs()
    deployer(tmp_path, aws, programs, []).deploy([Step.IMAGES])
    login, bake = programs.calls
    assert login[:2] == ["docker", "login"]
    assert "*.platform=linux/amd64" in bake
    assert (
        f"faces.output=type=image,name={REGISTRY}/screener/faces,push=true,push-by-digest=true"
        in bake
    )
    assert bake[-4:] == [str(analyzer) for analyzer in Analyzer]
    noted = read_published("dev", tmp_path).parameters
    assert noted["FacesImageUri"] == f"{REGISTRY}/screener/faces@sha256:1" + "a" * 63


def test_the_registrys_password_is_on_no_command_line(tmp_path: Path, aws: Clients) -> None:
    programs = Programs()
    deployer(tmp_path, aws, programs, []).deploy([Step.IMAGES])
    token = aws("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    assert programs.inputs[0] == password
    assert not any(password in argument for call in programs.calls for argument in call)


def test_installed_packs_are_published_and_noted_with_their_digest(
    tmp_path: Path, aws: Clients
) -> None:
    said: list[str] = []
    pack = install_pack(tmp_path / "home")
    deployer(tmp_path, aws, Programs(), said).deploy([Step.PACKS])
    noted = read_published("dev", tmp_path).parameters
    assert noted.keys() == {"FacesPacks"}
    digest = identity.packs_digest([(pack.role, pack.digest)])
    assert noted["FacesPacks"].endswith(f"/{digest}/")
    assert any("objects: no pack is installed" in line for line in said)


def test_the_stack_gets_what_was_configured_published_and_left_at_its_default(
    tmp_path: Path, aws: Clients
) -> None:
    programs = Programs()
    install_pack(tmp_path / "home")
    deployer(tmp_path, aws, programs, []).deploy([Step.PACKS, Step.STACK])
    build, deploy = programs.calls
    assert build[1:] == ["build"]
    assert deploy[1:5] == ["deploy", "--config-env", "dev", "--parameter-overrides"]
    assert 'FacesMaxInstances="1"' in deploy
    assert any(one.startswith('FacesPacks="s3://') for one in deploy)
    assert 'ObjectsMaxInstances="2"' in deploy


def test_steps_are_taken_in_their_order_whatever_the_order_of_asking(
    tmp_path: Path, aws: Clients
) -> None:
    said: list[str] = []
    deployer(tmp_path, aws, Programs(), said).deploy([Step.STACK, Step.PACKS])
    assert [line for line in said if line.startswith("==")] == ["== packs", "== stack"]


def test_a_doctor_who_finds_problems_stops_the_deploy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    (tmp_path / "samconfig.toml").write_text(CONFIG, "utf-8")
    programs, said = Programs(), []
    client: Any = boto3.Session(region_name="us-east-1").client
    stopped = Deployer(
        root=tmp_path, home=tmp_path, name="dev", client=client, run=programs, say=said.append
    )
    with pytest.raises(DeployFailed, match="nothing was changed"):
        stopped.deploy(list(Step))
    assert programs.calls == []


def test_every_parameter_is_given_because_sam_keeps_the_last_value_of_one_left_out(
    environment: Environment, defaults: dict[str, str]
) -> None:
    given = dict(one.split("=", 1) for one in overrides(environment))
    assert given.keys() == defaults.keys()
    assert given["LogLevel"] == '"INFO"'
    assert given["FacesImageUri"] == '""'


def test_json_is_quoted_because_sam_ends_a_bare_value_at_the_first_quotation_mark(
    environment: Environment,
) -> None:
    sampling = '{"strategy": "fixed", "frames_per_second": 2}'
    parameters = environment.parameters | {"Sampling": sampling}
    changed = environment.model_copy(update={"parameters": parameters})
    given = dict(one.split("=", 1) for one in overrides(changed))
    assert json.loads(json.loads(given["Sampling"])) == json.loads(sampling)


def test_a_value_that_sam_would_change_on_its_way_is_refused(environment: Environment) -> None:
    parameters = environment.parameters | {"SamplingByPrefix": '{"a\\"b": {}}'}
    with pytest.raises(DeployFailed, match="SamplingByPrefix"):
        overrides(environment.model_copy(update={"parameters": parameters}))


def test_a_program_that_is_missing_or_fails_is_named(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    with pytest.raises(DeployFailed, match="no-such-program is not installed"):
        run(["no-such-program"])
    with pytest.raises(DeployFailed, match="ended with 3"):
        run(["sh", "-c", "exit 3"])
    run(["sh", "-c", "read word && test $word = secret"], stdin="secret\n")
