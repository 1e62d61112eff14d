"""Memory that was freed is used again instead of being fetched anew from the system."""

import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource, sys
import numpy as np
from model_servers.serving.allocator import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()

def work():
    # 72 MiB at once: glibc by itself keeps 64 at most, however it has adapted before.
    blocks = [np.full(9 << 20, 1, np.uint8) for _ in range(8)]
    return len(blocks)

for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
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
