"""The child is held to its limits, and the parent knows why it ended."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from screener.errors import InvalidVideo, RefusalCode, VideoUnavailable
from screener.media import MediaLimits, probe
from screener.media.sandbox import DecoderFault
from screener.media.source import FileSource
from tests.media_clips import steady, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", steady(30))


def children():
    """Process ids of this process's decoding children: those of its fork servers."""
    return [child for server in servers() for child in _children_of(server)]


def servers():
    found = _children_of(os.getpid())
    return [pid for pid in found if b"screener.media.child" in _command(pid)]


def end_servers():
    """Kill them and wait until they are gone."""
    for server in servers():
        os.kill(server, signal.SIGKILL)
        while _is_alive(server):
            time.sleep(0.001)


def _is_alive(pid):
    """Whether a process runs on; orphans are left as zombies where no init collects them."""
    state = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return bool(state) and state[0] != b"Z"


def _children_of(pid):
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, _read(listed).split())
    return found


def _command(pid):
    return _read(Path(f"/proc/{pid}/cmdline"))


def _read(path):
    try:
        return path.read_bytes()
    except OSError:  # it has ended since
        return b""


class Source:
    """A file whose reads can be made to do something else."""

    def __init__(self, path, on_read=lambda: None):
        self._data = path.read_bytes()
        self.size_bytes = len(self._data)
        self._on_read = on_read

    def read_at(self, offset, length):
        self._on_read()
        return self._data[offset : offset + length]


def test_what_the_child_finds_comes_back_typed(clip):
    facts = probe(Source(clip))
    assert (facts.container, facts.video_codec, facts.width, facts.height) == (
        "mov", "h264", 160, 96,
    )  # fmt: skip
    assert (facts.duration_ms, facts.frame_rate, facts.audio_codec) == (1200, "25/1", None)
    assert children() == []


def test_an_error_of_the_source_is_raised_as_itself(clip):
    def gone():
        raise VideoUnavailable("deleted")

    with pytest.raises(VideoUnavailable, match="deleted"):
        probe(Source(clip, gone))
    assert children() == []


@pytest.mark.parametrize(
    ("signal_number", "code"),
    [
        (signal.SIGSEGV, RefusalCode.UNDECODABLE),
        (signal.SIGABRT, RefusalCode.UNDECODABLE),
        (signal.SIGKILL, RefusalCode.RESOURCE_LIMIT),
        (signal.SIGXCPU, RefusalCode.RESOURCE_LIMIT),
    ],
)
def test_a_child_that_dies_leaves_its_reason(clip, signal_number, code):
    def strike():
        for child in children():
            os.kill(child, signal_number)

    with pytest.raises(InvalidVideo) as refusal:
        probe(Source(clip, strike))
    assert refusal.value.code == code
    assert probe(Source(clip)).video_codec == "h264"


def test_a_silent_child_is_stopped(clip):
    def stop():
        for child in children():
            os.kill(child, signal.SIGSTOP)

    with pytest.raises(InvalidVideo, match="did not finish within 1 s") as refusal:
        probe(Source(clip, stop), limits=MediaLimits(wall_seconds=1))
    assert refusal.value.code == RefusalCode.RESOURCE_LIMIT
    assert children() == []


def test_waiting_for_the_source_is_not_held_against_the_child(clip, monkeypatch):
    clock = SlowClock()
    monkeypatch.setattr("screener.media.sandbox.time", clock)

    def slow_source():
        clock.passed += 1000

    assert probe(Source(clip, slow_source), limits=MediaLimits(wall_seconds=100))
    assert clock.passed >= 1000


class SlowClock:
    """A clock on which reading the source takes very long."""

    passed = 0.0

    def monotonic(self):
        return time.monotonic() + self.passed


def test_memory_is_bounded(tmp_path):
    clip = write_clip(
        tmp_path / "large.mp4",
        steady(2),
        picture=lambda n: np.full((4096, 4096), n, np.uint8),
    )
    with FileSource(clip) as source, pytest.raises(InvalidVideo) as refusal:
        probe(source, limits=MediaLimits(memory_bytes=90_000_000))
    assert refusal.value.code == RefusalCode.RESOURCE_LIMIT


CONFINED = """
import os, socket, sys
from screener.media.child import _confine
from screener.media.facts import MediaLimits
_confine(MediaLimits())
for attempt in (lambda: open("/etc/hostname"), lambda: open("/dev/null", "w"), socket.socket,
                os.pipe, lambda: os.system("true") and 1 / 0):
    try:
        attempt()
    except OSError as error:
        os.write(1, f"{error.errno} ".encode())
"""


def test_the_child_can_open_neither_files_nor_sockets():
    answer = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, text=True, check=False, timeout=30
    )
    assert answer.stdout.split()[:4] == ["24"] * 4, answer.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to look into the child's memory")
def test_the_child_sees_no_credentials(clip, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-parent")
    end_servers()  # the next one inherits from here
    seen = []

    def look():
        for child in children():
            seen.append(Path(f"/proc/{child}/environ").read_bytes())

    probe(Source(clip, look))
    assert seen
    assert not any(b"AWS_" in environment for environment in seen)


NOBODY = """
import ctypes, os, sys
from screener.media.forkserver import keep_memory_private
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
libc.prctl(4, 1, 0, 0, 0)  # readable again: a change of user ends that
"""
HOLDER = f"""{NOBODY}
if sys.argv[1] == "private":
    keep_memory_private()
print("ready", flush=True)
sys.stdin.read()
"""
TAKEN_OVER = f"""{NOBODY}
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
victim = int(sys.argv[1])
ours, theirs = Span(ctypes.addressof(ctypes.create_string_buffer(8)), 8), Span(4096, 8)
got = libc.process_vm_readv(victim, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
print(os.strerror(ctypes.get_errno()) if got < 0 else "read")
try:
    open(f"/proc/{{victim}}/environ").read()
    print("read")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to run two processes as another user")
@pytest.mark.parametrize(
    ("kind", "memory", "environment"),
    [
        ("private", "Operation not permitted", "Permission denied"),
        # That address is not mapped, but it may be asked for.
        ("ordinary", "Bad address", "read"),
    ],
)
def test_private_memory_cannot_be_read_by_a_process_of_the_same_user(kind, memory, environment):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "ready\n"
        answer = subprocess.run(
            [sys.executable, "-c", TAKEN_OVER, str(holder.pid)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        holder.stdin.close()
    assert answer.stdout.splitlines() == [memory, environment], answer.stderr


def test_who_has_videos_decoded_keeps_its_memory_private():
    script = (
        "import ctypes; from screener.media import sandbox; prctl = ctypes.CDLL(None).prctl;"
        "before = prctl(3); sandbox.warm_up(); print(before, prctl(3))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert answer.stdout == "1 0\n"


def test_children_share_one_server_which_is_replaced_when_it_ends(clip):
    probe(Source(clip))
    first = servers()
    probe(Source(clip))
    assert servers() == first
    assert len(first) == 1
    end_servers()
    assert probe(Source(clip)).video_codec == "h264"
    assert len(servers()) == 1
    assert servers() != first


def test_a_server_that_dies_takes_its_children_with_it_and_refuses_the_video(clip):
    seen = []

    def strike():
        seen.extend(children())
        end_servers()
        while any(map(_is_alive, seen)):
            time.sleep(0.001)

    with pytest.raises(InvalidVideo) as refusal:
        probe(Source(clip, strike))
    assert refusal.value.code == RefusalCode.RESOURCE_LIMIT
    assert seen


def test_tasks_at_the_same_time_do_not_disturb_each_other(clip):
    with ThreadPoolExecutor(8) as pool:
        facts = list(pool.map(lambda _: probe(Source(clip)), range(24)))
    assert {one.duration_ms for one in facts} == {1200}
    assert children() == []


ORPHAN = """
import os, signal, sys
from pathlib import Path
from screener.media import probe
from screener.media.source import FileSource

class Source(FileSource):
    def read_at(self, offset, length):
        server = int(Path(f"/proc/self/task/{os.getpid()}/children").read_text())
        child = Path(f"/proc/{server}/task/{server}/children").read_text()
        os.kill(int(child), signal.SIGSTOP)
        os.write(1, f"{server} {child}".encode())
        os.kill(os.getpid(), signal.SIGKILL)

probe(Source(Path(sys.argv[1])))
"""


def test_nothing_outlives_the_parent_however_it_ends(clip):
    parent = subprocess.run(
        [sys.executable, "-c", ORPHAN, clip], capture_output=True, check=False, timeout=60
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    left = [int(pid) for pid in parent.stdout.split()]
    assert len(left) == 2
    deadline = time.monotonic() + 20
    while any(map(_is_alive, left)):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_a_child_that_talks_nonsense_is_our_fault_not_the_videos(clip, monkeypatch):
    monkeypatch.setattr("screener.media.channel.MAX_READ_BYTES", 0)
    with pytest.raises(DecoderFault, match="malformed message"):
        probe(Source(clip))


def test_a_missing_file_is_unavailable(tmp_path):
    with pytest.raises(VideoUnavailable, match=r"nothing\.mp4"):
        FileSource(tmp_path / "nothing.mp4")
