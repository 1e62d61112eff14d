"""The fixtures; a conftest imports those that its folder needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from tests.async_inference.bench import BUCKET, Bench, client


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(aws_url: str) -> Any:
    s3 = client("s3", aws_url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="in.tar", Body=b"frames", ContentType="application/x-tar")
    return s3


@pytest.fixture
def bench(aws_url: str, s3: Any, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(aws_url, s3, tmp_path)
    yield bench
    bench.close()
