import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from model_servers.serving.app import create_app
from model_servers.serving.service import Service
from model_servers.serving.settings import ServerSettings
from screener.observations import Analyzer
from tests.model_packs import nudenet, opennsfw


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    packs = [nudenet(tmp_path), opennsfw(tmp_path)]
    monkeypatch.setenv("SCREENER_PACKS", ":".join(map(str, packs)))
    monkeypatch.setenv("SCREENER_PROVIDER", "cpu")
    return Service(Analyzer.MODERATION, ServerSettings())


def ask(service: Service) -> tuple[int, int]:
    """Status of a ping and of an invocation with an empty bundle."""

    async def both() -> tuple[int, int]:
        transport = httpx.ASGITransport(app=create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            ping = await client.get("/ping")
            headers = {"Content-Type": "application/x-tar"}
            invocation = await client.post("/invocations", content=b"", headers=headers)
            return ping.status_code, invocation.status_code

    return asyncio.run(both())


def test_a_server_that_still_loads_says_so_and_one_that_has_loaded_serves(
    service: Service,
) -> None:
    failed = threading.Event()
    assert ask(service) == (503, 503)
    service.start_loading(failed.set)
    while not service.ready and not failed.wait(0.05):
        pass
    assert service.failure is None
    assert ask(service) == (200, 400)
