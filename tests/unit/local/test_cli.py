"""The command as a whole: what its help shows, and how it ends."""

import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from local.cli import app, main

EXAMPLE = re.compile(r"\bscreener [a-z][^\[\n]*")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def examples(name: str) -> list[list[str]]:
    """The arguments of each example in a command's help, without what the shell does."""
    found = []
    for text in EXAMPLE.findall(COMMANDS[name].help or ""):
        words = shlex.split(re.split(r" [|>] |\)", text)[0])
        if words[1 : 1 + len(name.split())] == name.split():
            found.append(words[1 + len(name.split()) :])
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_it_understands(name: str) -> None:
    command = COMMANDS[name]
    shown = examples(name)
    assert shown, f"screener {name} --help has no example"
    for arguments in shown:
        with command.make_context(name, [], resilient_parsing=True) as context:
            given, left, _ = command.make_parser(context).parse_args(list(arguments))
        assert left == [], arguments
        for parameter in command.params:
            assert given.get(parameter.name) or not parameter.required, (arguments, parameter.name)


def test_missing_credentials_are_named_with_two_ways_to_get_some(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    told = ["rejudge", "s3://media/uploads/", "--work-bucket", "work", "--policy", "strict"]
    monkeypatch.setattr(sys, "argv", ["screener", *told])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    error = capsys.readouterr().err
    assert "Unable to locate credentials" in error
    assert "aws configure" in error
    assert "screener up --detach" in error
