"""A process of its own each: what is asked of the allocator and of OpenBLAS holds for good."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Buffers as large as the attention of Whisper's encoder, used and freed on a thread of its own.
_FAULTS = """
import ctypes, resource, threading
from model_servers.serving.process import prepare_process
prepare_process()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = 100 << 20
def use():
    buffer = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
    ctypes.memset(buffer, 1, size)
    libc.free(buffer)
def count():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""
_THREADS = """
import os, sys
import model_servers.serving.__main__
assert "numpy" not in sys.modules
from model_servers.serving.process import prepare_process
prepare_process()
import numpy
product = numpy.ones((400, 400)) @ numpy.ones((400, 400))
print(len(os.listdir("/proc/self/task")))
"""
_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="no mallopt: not glibc"
)


def printed_by(code: str, **environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@_glibc
def test_a_freed_buffer_is_used_again_without_asking_the_kernel() -> None:
    assert printed_by(_FAULTS) < 10


@_glibc
def test_what_the_environment_says_about_memory_goes_first() -> None:
    # Pages are 2 MB at most.
    assert printed_by(_FAULTS, MALLOC_MMAP_THRESHOLD_="65536") >= 50


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_products_of_numpy_start_no_thread() -> None:
    assert printed_by(_THREADS) == 1
    if len(os.sched_getaffinity(0)) > 1:
        assert printed_by(_THREADS, OPENBLAS_NUM_THREADS="2") == 2
