"""Every error that Screener raises on purpose.

    ScreenerError
    ├── InvalidVideo          the upload cannot be screened; final: the document says "invalid"
    ├── VideoUnavailable      the object is gone or was replaced since the event
    ├── InvalidEvent          an intake event that is not about a video of this stack
    ├── InvalidPolicy         the policy file cannot be used
    ├── InvalidPack           a model pack is incomplete, changed or unsafe
    ├── InvalidBundle         a frame bundle does not follow its contract
    ├── InvalidObservations   an endpoint's output does not follow its contract
    ├── IncompleteAnalysis    analyses are missing; the operator may press Redrive
    └── ConfigurationError    a setting is missing or wrong

A Lambda error reaches the state machine as its class name, so `ErrorEquals` lists
names from this file. Model servers map their own request errors to HTTP statuses
in `model_servers/serving/errors.py`.
"""

import json
from enum import StrEnum
from typing import Self


class ScreenerError(Exception):
    """Base class: everything below is expected, explained, and safe to show to a user."""


class RefusalCode(StrEnum):
    """Why a video is refused. Part of the document's contract (`reasons[].code`)."""

    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    TRUNCATED = "truncated"
    NO_VIDEO_STREAM = "no_video_stream"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_STREAMS = "too_many_streams"
    UNSUPPORTED_CODEC = "unsupported_codec"
    ENCRYPTED = "encrypted"
    UNSAFE_REFERENCE = "unsafe_reference"
    UNDECODABLE = "undecodable"
    RESOURCE_LIMIT = "resource_limit"


class InvalidVideo(ScreenerError):
    """The upload cannot be screened, and trying again would not help.

    The message is JSON (`{"code": ..., "detail": ...}`), because a message is all that
    survives the way through a Lambda error and a state machine's Catch.
    """

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(json.dumps({"code": code.value, "detail": detail}))
        self.code = code
        self.detail = detail

    @classmethod
    def from_message(cls, message: str) -> Self:
        """Rebuild the error from its message.

        Raises:
            ValueError: the message was not written by this class.
        """
        try:
            payload = json.loads(message)
            return cls(RefusalCode(payload["code"]), str(payload["detail"]))
        except (KeyError, TypeError) as cause:
            raise ValueError(f"not a refusal: {message[:200]!r}") from cause

    def __reduce__(self) -> tuple[type[Self], tuple[RefusalCode, str]]:
        # Exceptions are rebuilt from `args`, which holds the JSON: without this the error
        # would not survive the way back from the decoding child process.
        return type(self), (self.code, self.detail)


class VideoUnavailable(ScreenerError):
    """The video's object version is not there (any more), or may not be read."""


class InvalidEvent(ScreenerError):
    """An intake message that is not an upload event of this stack's media bucket."""


class InvalidPolicy(ScreenerError):
    """The policy file cannot be used; the message names the place and what was expected."""


class InvalidPack(ScreenerError):
    """A model pack is incomplete, was changed, or holds something it must not hold."""


class InvalidBundle(ScreenerError):
    """A frame bundle does not follow its contract."""


class InvalidObservations(ScreenerError):
    """An endpoint's output does not follow its contract."""


class IncompleteAnalysis(ScreenerError):
    """Analyses are missing after all retries; the message names them and what to press."""


class ConfigurationError(ScreenerError):
    """A setting is missing or wrong; the message names the setting."""
