"""Environment variables of the stack process and of the functions.

Nothing of the user's AWS configuration may reach them: a profile, an endpoint or a proxy of
theirs would send the local stack's requests elsewhere.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import botocore

from local.stack.naming import REGION

_LOCAL_HOSTS = "127.0.0.1,localhost"
# Objects above this size are spooled to disk: videos would otherwise fill the memory.
_BUFFER_BYTES = 65_536


def local_aws(endpoint_url: str) -> dict[str, str]:
    """Variables that make an AWS client talk to the local stack."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOCAL_HOSTS,
        "no_proxy": _LOCAL_HOSTS,
    }


def stack_environment(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment that the stack process is started with.

    Args:
        inherited: of the command that starts it.
        folder: this instance's; gets the temporary files.
    """
    own = {name: value for name, value in inherited.items() if not name.startswith("AWS_")}
    own.update(local_aws("http://127.0.0.1:1"))  # replaced once the port is known
    del own["AWS_ENDPOINT_URL"]
    own["AWS_CONFIG_FILE"] = str(_path_style(folder / "aws_config"))
    own["AWS_DATA_PATH"] = str(_service_models(folder / "botocore"))
    own["TMPDIR"] = str(folder / "tmp")
    own["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(_BUFFER_BYTES)
    # moto answers every origin otherwise; the gateway lets only local ones through.
    own["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    return own


def _path_style(file: Path) -> Path:
    """Tells moto's interpreter, which makes its own clients, to put buckets into the path.

    A Map that reads its items from S3 would otherwise look for `bucket.localhost`, a name that
    not every resolver knows.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("[default]\ns3 =\n    addressing_style = path\n", "utf-8")
    return file


def _service_models(folder: Path) -> Path:
    """botocore's model of the SageMaker runtime under the name that the state machine uses.

    The task resource `aws-sdk:sagemakerruntime` becomes a client of that name in moto's
    interpreter, while botocore calls the service `sagemaker-runtime`.
    """
    alias = folder / "sagemakerruntime"
    if not alias.is_dir():
        original = Path(botocore.__file__).parent / "data" / "sagemaker-runtime"
        shutil.copytree(original, alias)
    return folder
