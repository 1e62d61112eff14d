"""A real gateway with moto behind it, and its clients."""

import os
from collections.abc import Iterator

import pytest

from local.stack.deploy import Services
from local.stack.gateway import HOST, Gateway, serve

VERSIONED, PLAIN, SILENT = "versioned-bucket", "plain-bucket", "silent-bucket"


class Running:
    """The gateway, where it listens, and clients for it."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self.services = Services(self.url)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    import threading

    gateway = Gateway()
    server = serve(gateway, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = os.environ.get("MOTO_PORT")
    os.environ["MOTO_PORT"] = str(server.port)
    running = Running(gateway, server.port)
    for bucket in (VERSIONED, PLAIN, SILENT):
        running.services.s3.create_bucket(Bucket=bucket)
    running.services.s3.put_bucket_versioning(
        Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"}
    )
    yield running
    server.shutdown()
    server.server_close()
    if before is None:
        del os.environ["MOTO_PORT"]
