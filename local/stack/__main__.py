"""The stack process: `python -m local.stack`. Started by `local.stack.launcher`.

Prints one line of JSON when it is ready, the `StackDescription`, or `{"error": ...}` when it
cannot start. It ends on SIGTERM, SIGINT, or when its standard input closes: a temporary stack
dies with the command that started it, however that ends.
"""

import argparse
import json
import logging
import shutil
import signal
import sys
import threading
from pathlib import Path

from local.runs.records import RecordFolder
from local.stack.description import StackDescription
from local.stack.instance import alive
from local.stack.stack import LocalStack, StackSettings
from screener.errors import ScreenerError
from screener.observations import Analyzer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.stack")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--parameters", type=json.loads, default={})
    parser.add_argument(
        "--servers", type=json.loads, default={}, help="analyzer -> command, for fault tests"
    )
    parser.add_argument("--keep-warm", action="store_true")
    parser.add_argument("--records", type=Path, help="folder for the executions at the end")
    parser.add_argument("--state-file", type=Path, help="where other commands find this stack")
    parser.add_argument("--end-with-stdin", action="store_true")
    arguments = parser.parse_args()
    (arguments.folder / "logs").mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=arguments.folder / "logs" / "stack.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Its interpreter logs every caught failure as an error, with the whole state.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    settings = StackSettings(
        root=arguments.root,
        home=arguments.home,
        folder=arguments.folder,
        port=arguments.port,
        parameters=arguments.parameters,
        keep_warm=arguments.keep_warm,
        servers={Analyzer(name): command for name, command in arguments.servers.items()},
    )
    with alive(arguments.folder):
        try:
            stack = LocalStack(settings)
        except (ScreenerError, OSError) as error:
            _say(json.dumps({"error": f"{type(error).__name__}: {error}"}))
            return 1
        try:
            if arguments.state_file:
                _announce(stack.description, arguments.state_file)
            _say(stack.description.model_dump_json())
            if arguments.end_with_stdin:
                threading.Thread(target=_wait_for_end_of_input, args=(ended,), daemon=True).start()
            ended.wait()
            if arguments.records:
                RecordFolder(arguments.records).keep(stack.executions())
        finally:
            stack.close()
            if arguments.state_file:
                _withdraw(stack.description, arguments.state_file)
            shutil.rmtree(arguments.folder / "tmp", ignore_errors=True)
    return 0


def _announce(description: StackDescription, file: Path) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(description.model_dump_json(indent=1), encoding="utf-8")
    partial.replace(file)


def _withdraw(description: StackDescription, file: Path) -> None:
    # Only our own: another stack may have been started in the meantime.
    try:
        noted = StackDescription.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return
    if noted.instance == description.instance:
        file.unlink(missing_ok=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _wait_for_end_of_input(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
