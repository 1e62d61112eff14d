"""The interface between the HTTP side and a model.

Each server folder has one `model.py` with `ROLES`, the pack roles it knows,
`choose_runtime(settings) -> Runtime` and `load(packs, runtime) -> Model`.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import BinaryIO, NamedTuple, Protocol, cast

from model_servers.serving.packs import PackSet
from model_servers.serving.runtime import Runtime
from model_servers.serving.settings import ServerSettings
from model_servers.serving.timings import Stopwatch
from screener.messages import InvocationAttributes
from screener.observations import Analyzer, Observations


class Invocation(NamedTuple):
    """One request, as a model sees it."""

    body: BinaryIO
    content_type: str
    attributes: InvocationAttributes | None
    """None when the request came without the header, as from `curl`."""
    stopwatch: Stopwatch

    @property
    def chunk(self) -> int:
        return self.attributes.chunk if self.attributes else 0


Handler = Callable[[Invocation], Observations]


class Model(Protocol):
    """A loaded model. Handlers run in worker threads, one request at a time."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What answers each accepted content type; "audio/*" stands for every audio type."""

    def warm_up(self) -> None:
        """Run every network once, so that the first request is as fast as the next."""


class ModelModule(Protocol):
    """What every `model_servers/<analyzer>/model.py` offers."""

    ROLES: frozenset[str]

    def choose_runtime(self, settings: ServerSettings) -> Runtime: ...

    def load(self, packs: PackSet, runtime: Runtime) -> Model: ...


def model_module(analyzer: Analyzer) -> ModelModule:
    """Import a server's model. Late, because it takes most of the start-up time."""
    return cast(ModelModule, importlib.import_module(f"model_servers.{analyzer}.model"))


def handler_for(model: Model, content_type: str) -> Handler | None:
    """The handler of a media type such as "audio/flac", or None."""
    handlers = model.handlers
    family = content_type.partition("/")[0] + "/*"
    return handlers.get(content_type) or handlers.get(family)
