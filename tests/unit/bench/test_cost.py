import subprocess
import sys

from bench.cost import Cost, best, cpu_s, one_after_another, timed, tree_cpu_s

# Spends a third of a second of processor time, however long that takes.
BURN = "import time\nwhile time.process_time() < 0.33: pass\n"
GRANDCHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"


def test_processor_time_holds_children_that_ended_and_theirs():
    cost = timed(lambda: subprocess.run([sys.executable, "-c", GRANDCHILD], check=True))
    assert cost.cpu_s >= 0.33


def test_processor_time_holds_a_child_that_lives():
    before = tree_cpu_s()
    with _busy() as child:
        assert tree_cpu_s() - before >= 0.3
        assert cpu_s(child.pid) >= 0.3
        child.communicate(b"\n")


def test_processes_that_are_no_descendants_are_not_counted():
    alone = "import os, bench.cost as c; print(c.tree_cpu_s() <= sum(os.times()[:4]) + 0.02)"
    with _busy() as sibling:
        done = subprocess.run(
            [sys.executable, "-c", alone], capture_output=True, text=True, check=True
        )
        sibling.communicate(b"\n")
    assert done.stdout.strip() == "True"


def test_the_best_of_rounds_has_the_least_time_and_the_most_memory():
    assert best([Cost(2, 5, 10), Cost(3, 4, 20)]) == Cost(2, 4, 20)
    assert one_after_another([Cost(2, 5, 10), Cost(3, 4, 20)]) == Cost(5, 9, 20)
    assert Cost(2, 5, 10).times(8) == Cost(16, 40, 10)


def _busy():
    """A process that has spent its time and now waits for a line."""
    program = BURN + "print(flush=True)\ninput()\n"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    return child
