"""Keeps Python's cyclic garbage collector out of the way of one judgement.

Judging a ten-minute video makes some 20,000 small objects that live until it is done, none of
them in a cycle. The collector would look at all of them again and again and find nothing: that
is a third of the whole time (`python -m bench.rejudge`). Reference counts free them as ever.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside; also a decorator. What was off before stays off."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
