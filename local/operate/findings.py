"""What the doctor finds."""

from enum import StrEnum

from screener.model import Message


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Message):
    """One answer."""

    topic: str
    verdict: Verdict
    found: str
    remedy: str = ""
    """What to do; empty when there is nothing to do."""
