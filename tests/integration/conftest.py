"""One stack for all integration tests, started and stopped by the command itself."""

from collections.abc import Iterator

import pytest

from local.stack.description import StackDescription
from tests.local_stack import Command, Stack, pull_packs


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    command = Command(tmp_path_factory.mktemp("home"))
    pull_packs(command)
    return command


@pytest.fixture(scope="session")
def stack(command: Command) -> Iterator[Stack]:
    up = command("up", "--detach", "--port", "0")
    assert up.returncode == 0, up.stderr
    status = command("status", "--json")
    yield Stack(StackDescription.model_validate_json(status.stdout))
    down = command("down")
    assert down.returncode == 0, down.stderr
