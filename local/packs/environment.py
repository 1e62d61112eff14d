"""The build environment: PyTorch and the libraries that export, apart from everything else.

Made once per lock file, below SCREENER_HOME, from hashed requirements.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from local.packs.errors import BuildFailed

LOCK_FILE = Path(__file__).resolve().parents[2] / "requirements" / "build.lock"
_INSTALL_TIMEOUT_SECONDS = 3600
_TORCH = frozenset({"torch", "torchvision"})
_ONLY_FOR_CUDA = re.compile(r"^(nvidia-|cuda-|triton$)")

Say = Callable[[str], None]


def build_environment(home: Path, say: Say, torch_index: str | None = None) -> Path:
    """The environment's Python; made first if this lock file has none yet.

    Args:
        home: SCREENER_HOME.
        say: told what takes long.
        torch_index: package index with PyTorch's CPU builds. They are a tenth of the size of
            the CUDA builds on PyPI, but their hashes are not in our lock: versions are.

    Raises:
        BuildFailed: the installation failed; the message ends with the installer's own words.
    """
    lock = LOCK_FILE.read_text()
    identity = hashlib.sha256(f"{sys.version_info[:2]} {torch_index} {lock}".encode()).hexdigest()
    folder = home / "build" / identity[:16]
    python, ready = folder / "bin" / "python", folder / ".ready"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if ready.exists():
            return python
        say(f"installing PyTorch and the exporting libraries into {folder}; this takes minutes")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=_uv() is None)
        if torch_index is None:
            _install(python, ["--require-hashes", "--no-deps", "-r", str(LOCK_FILE)])
        else:
            torch, rest = split_lock(lock)
            _install(python, ["--no-deps", "--index-url", torch_index, *torch])
            remaining = folder / "without-torch.lock"
            remaining.write_text(rest)
            _install(python, ["--require-hashes", "--no-deps", "-r", str(remaining)])
        ready.touch()
    return python


def split_lock(lock: str) -> tuple[list[str], str]:
    """(PyTorch's own requirements as `name==version`, the lock without them and without CUDA)."""
    torch: list[str] = []
    rest: list[str] = []
    # A requirement starts at the margin; its hashes follow indented.
    for block in re.split(r"\n(?=\S)", lock.strip()):
        requirement = block.split(None, 1)[0]
        name = requirement.partition("==")[0]
        if name in _TORCH:
            torch.append(requirement)
        elif not _ONLY_FOR_CUDA.match(name):
            rest.append(block)
    return torch, "\n".join(rest) + "\n"


def _install(python: Path, arguments: Sequence[str]) -> None:
    uv = _uv()
    command = (
        [uv, "pip", "install", "--quiet", "--python", str(python)]
        if uv
        else [str(python), "-m", "pip", "install", "--quiet"]
    )
    try:
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as cause:
        raise BuildFailed(f"installing took more than {_INSTALL_TIMEOUT_SECONDS} s") from cause
    if done.returncode != 0:
        raise BuildFailed(f"installing failed:\n{last_lines(done.stderr)}")


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def last_lines(text: str, count: int = 20) -> str:
    """The end of a program's output, where it says why it stopped."""
    return "\n".join(text.strip().splitlines()[-count:])
