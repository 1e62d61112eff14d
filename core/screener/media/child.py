"""The child's end: applies the limits, runs one task, reports exactly one result.

`python -m screener.media.child FILE_DESCRIPTOR` is the server that forks the children, see
forkserver.py; sandbox.py starts it.
"""

import ctypes
import faulthandler
import gc
import importlib
import json
import pkgutil
import resource
import signal
import socket
import sys
import traceback
from multiprocessing.connection import Connection

import av
import av.error
import av.logging

from screener.errors import InvalidVideo, RefusalCode
from screener.media import channel
from screener.media.channel import ChildChannel, RemoteFile
from screener.media.extraction import extract
from screener.media.facts import Extraction, ExtractionOrder, MediaLimits, ProbeTask
from screener.media.forkserver import serve
from screener.media.probing import probe

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main(control: socket.socket) -> None:
    """Load everything, then fork a child for every task."""
    faulthandler.enable()
    _load_decoders()
    av.logging.set_level(None)
    # What is loaded stays shared: a collector that marks it would copy every page of it.
    gc.freeze()
    serve(control, run_task)


def run_task(descriptor: int) -> None:
    """Run one task. Every way out sends a last message, unless the kernel ends us first."""
    link = ChildChannel(Connection(descriptor))
    task_name, text = link.receive_task()
    try:
        if task_name == channel.PROBE:
            task = ProbeTask.model_validate_json(text)
            _confine(task.limits)
            result = probe(RemoteFile(link, task.size_bytes), task)
            link.finish(channel.DONE, result.model_dump_json())
        else:
            order = ExtractionOrder.model_validate_json(text)
            _confine(order.limits)
            extracted = extract(link, order)
            link.finish(channel.DONE, _with_cost(extracted).model_dump_json())
    except InvalidVideo as refusal:
        link.finish(channel.REFUSED, str(refusal))
    except (MemoryError, av.error.MemoryError):
        link.finish(
            channel.REFUSED,
            json.dumps(
                {
                    "code": RefusalCode.RESOURCE_LIMIT,
                    "detail": "decoding needs more memory than it may have",
                }
            ),
        )
    except Exception:  # noqa: BLE001 - the one place where a bug of ours becomes a message
        link.finish(channel.FAULT, traceback.format_exc())


def _load_decoders() -> None:
    """Load every module of PyAV now: it loads some only when a stream of their kind turns up,
    and by then no file can be opened any more."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def _confine(limits: MediaLimits) -> None:
    """Give up what decoding does not need. All modules are loaded by now."""
    libc = ctypes.CDLL(None, use_errno=True)
    # When the function is stopped at its timeout, a decoder in an endless loop must not stay.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # RLIMIT_DATA counts private writable memory, unlike RLIMIT_AS, which also counts the
    # libraries and the address space that each thread's allocator merely reserves.
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No new descriptor at all: no file, no socket, whatever a playlist or a header names.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _with_cost(extraction: Extraction) -> Extraction:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return extraction.model_copy(
        update={
            "processor_ms": round((usage.ru_utime + usage.ru_stime) * 1000),
            "peak_memory_bytes": usage.ru_maxrss * 1024,
        }
    )


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
