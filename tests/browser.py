"""Headless Chromium, driven over its DevTools pipe: no driver to install."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

TIMEOUT_SECONDS = 30
# Chromium talks on descriptors 3 and 4; the pipes may have these numbers the other way round.
_ON_THREE_AND_FOUR = """
import os, sys
source, target = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2]))
safe_source, safe_target = os.dup2(source, 60), os.dup2(target, 61)
os.dup2(safe_source, 3)
os.dup2(safe_target, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page of a fresh, offline Chromium."""

    def __init__(self, profile: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
        from_us, our_write = os.pipe()
        our_read, to_us = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _ON_THREE_AND_FOUR,
                str(from_us),
                str(to_us),
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(from_us, to_us),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        self._to = os.fdopen(our_write, "wb", buffering=0)
        self._from = os.fdopen(our_read, "rb")
        self._count = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._to.close()
        self._from.close()
        self._process.kill()
        self._process.wait(TIMEOUT_SECONDS)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command and its result; events on the way are kept."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, page: Path) -> None:
        """Load a file and wait for it."""
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression (the debugger is above the page's policy)."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """One key press."""
        keys = {"Tab": 9, "Enter": 13}
        text = "\r" if key == "Enter" else (key if len(key) == 1 else "")
        code = keys.get(key, ord(key[0]))
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key=key,
            windowsVirtualKeyCode=code,
            text=text,
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, target: Path, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        data = self.call("Page.captureScreenshot", format="png")["data"]
        target.write_bytes(base64.b64decode(data))

    def requests(self) -> list[str]:
        """Addresses that the page asked for, its own aside."""
        sent = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [e["params"]["request"]["url"] for e in sent][1:]

    def _read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._from.read(1)) not in (b"\0", b""):
            data += byte
        assert data, "Chromium has gone"
        return json.loads(data)
