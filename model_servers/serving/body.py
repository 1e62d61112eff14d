"""A request body as a plain binary stream, read by a worker thread while it still arrives.

Starlette hands out the body asynchronously; tar and audio readers want `read(n)`. Each read
here asks the event loop for the next piece, so the client is slowed down to the reader's pace
and memory holds one piece, not the body.
"""

import asyncio
import io
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect

from model_servers.serving.errors import BodyTimeout, BodyTooLarge, MalformedRequest

DRAIN_LIMIT_BYTES = 64 << 20


class RequestBody(io.RawIOBase):
    """Sequential reader over an asynchronous body. Use it from a thread, never from the loop.

    Args:
        pieces: the body as Starlette's `Request.stream()` gives it.
        limit_bytes: more than this raises `BodyTooLarge`.
        timeout_seconds: longest wait for one piece before `BodyTimeout`.
    """

    def __init__(
        self, pieces: AsyncIterator[bytes], limit_bytes: int, timeout_seconds: float
    ) -> None:
        super().__init__()
        self._pieces = pieces
        self._limit_bytes = limit_bytes
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._rest = memoryview(b"")
        self._ended = False
        self.received_bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, fewer only at the end of the body; -1 reads to the end.

        Raises:
            BodyTooLarge, BodyTimeout: see the class.
            MalformedRequest: the client went away before the end.
        """
        parts: list[memoryview] = []
        missing = size
        while missing != 0:
            if not self._rest and not self._fetch():
                break
            part = self._rest if missing < 0 else self._rest[:missing]
            self._rest = self._rest[len(part) :]
            missing = missing - len(part) if missing > 0 else missing
            parts.append(part)
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self) -> bool:
        if self._ended:
            return False
        return asyncio.run_coroutine_threadsafe(self._next_piece(), self._loop).result()

    async def _next_piece(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                piece = b""
                while not piece:
                    piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._ended = True
            return False
        except TimeoutError as cause:
            self._ended = True
            raise BodyTimeout(
                f"no data for {self._timeout_seconds:g} s after {self.received_bytes} bytes"
            ) from cause
        except ClientDisconnect as cause:
            self._ended = True
            raise MalformedRequest(
                f"the client went away after {self.received_bytes} bytes"
            ) from cause
        self.received_bytes += len(piece)
        if self.received_bytes > self._limit_bytes:
            raise BodyTooLarge(f"the body is larger than {self._limit_bytes} bytes")
        self._rest = memoryview(piece)
        return True

    async def drain(self) -> None:
        """Discard what is still to come, within reason.

        A server that answers and closes while the client is still sending makes the client's
        kernel throw the answer away; reading a little further lets the refusal arrive.
        """
        discarded = 0
        try:
            while discarded < DRAIN_LIMIT_BYTES and not self._ended:
                async with asyncio.timeout(self._timeout_seconds):
                    discarded += len(await anext(self._pieces))
        except (StopAsyncIteration, TimeoutError, ClientDisconnect):
            self._ended = True
