"""Memory that was freed is used again instead of being fetched anew from the system."""

import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from model_servers.serving.allocator import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()

def work(_):
    # The pixels of a frame of 1280x720 and a network's input, written to and dropped.
    return sum(int(np.full(size, 1, np.uint8)[-1]) for size in (2_764_800, 3_932_160))

with ThreadPoolExecutor(2) as workers:
    list(workers.map(work, range(20)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    list(workers.map(work, range(100)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc has the setting")
def test_blocks_the_size_of_a_frame_are_not_fetched_from_the_system_again() -> None:
    assert page_faults("keep") < page_faults() / 10
