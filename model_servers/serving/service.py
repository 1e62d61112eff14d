"""The model behind the HTTP app: loading it, and running one request at a time."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable

from model_servers.serving.errors import (
    InferenceFailed,
    ModelNotReady,
    ServerBusy,
    UnsupportedContentType,
)
from model_servers.serving.logs import FIELDS
from model_servers.serving.model import Invocation, Model, handler_for, model_module
from model_servers.serving.settings import ServerSettings
from screener.errors import ScreenerError
from screener.observations import Analyzer, Observations

log = logging.getLogger(__name__)


class Service:
    """Owns the model of this process.

    Args:
        analyzer: which model to serve.
        settings: the environment.
    """

    def __init__(self, analyzer: Analyzer, settings: ServerSettings) -> None:
        self.analyzer = analyzer
        self.settings = settings
        self.failure: BaseException | None = None
        """Why loading ended without a model."""
        self._model: Model | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def ready(self) -> bool:
        return self._model is not None

    def start_loading(self, on_failure: Callable[[], None]) -> None:
        """Load in a thread of its own, so that `/ping` answers meanwhile.

        `on_failure` is called from that thread once `failure` is set.
        """

        def load() -> None:
            try:
                self._model = self._load()
            except ScreenerError as error:
                self.failure = error
                log.error("cannot serve: %s", error)  # noqa: TRY400 - explained, no trace needed
                on_failure()
            except BaseException as error:
                self.failure = error
                log.exception("cannot serve")
                on_failure()

        threading.Thread(target=load, name="load", daemon=True).start()

    def _load(self) -> Model:
        started = time.perf_counter()
        # Late imports: they are most of the start-up time and must not delay the first /ping.
        from model_servers.serving.packs import load_packs

        module = model_module(self.analyzer)
        packs = load_packs(self.settings.pack_folders, self.analyzer, module.ROLES)
        model = module.load(packs, module.choose_runtime(self.settings))
        model.warm_up()
        log.info(
            "ready",
            extra={
                FIELDS: {
                    "load_ms": round((time.perf_counter() - started) * 1000),
                    "packs": {ref.role: f"{ref.name} {ref.version}" for ref in packs.references},
                    "licences": {ref.name: ref.licence for ref in packs.references},
                }
            },
        )
        return model

    def check(self, content_type: str) -> None:
        """Refuse what cannot be served, before the body is read.

        Raises:
            ModelNotReady, UnsupportedContentType, ServerBusy
        """
        if self._model is None:
            raise ModelNotReady(f"{self.analyzer} is still loading")
        if handler_for(self._model, content_type) is None:
            accepted = ", ".join(sorted(self._model.handlers))
            raise UnsupportedContentType(
                f"{content_type or 'no content type'!r}: {self.analyzer} takes {accepted}"
            )
        if self._waiting > self.settings.screener_max_waiting:
            raise ServerBusy(f"{self._waiting} requests are waiting already")

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until the model is free, and hold it: one request at a time, in order."""
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def run(self, invocation: Invocation) -> Observations:
        """Run the model in a worker thread. Call it while holding a `turn`.

        Raises:
            RequestFailed, InvalidBundle: see `model_servers.serving.errors`.
        """
        if self._model is None:
            raise ModelNotReady(f"{self.analyzer} is still loading")
        handler = handler_for(self._model, invocation.content_type)
        if handler is None:
            raise UnsupportedContentType(invocation.content_type)
        try:
            return await asyncio.to_thread(handler, invocation)
        except ScreenerError:
            raise
        except Exception as cause:
            log.exception("inference failed")
            # The type only: a message of the model might quote what it saw or heard.
            raise InferenceFailed(f"{type(cause).__name__} in {self.analyzer}") from cause
