"""The base of every typed message: immutable, and strict about unknown fields."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A value that crosses a Lambda, S3 or server boundary."""

    model_config = ConfigDict(frozen=True, extra="forbid")
