"""What a running local stack is: the file that other commands find it by."""

from pathlib import Path

from screener.model import Message
from screener.observations import Analyzer


class StackDescription(Message):
    """Answer of the gateway's description request, and content of the state file."""

    instance: str
    """A new random name at every start: tells this stack from an earlier one on its port."""
    pid: int
    root: Path
    """The checkout that it runs."""
    version: str
    endpoint_url: str
    region: str
    started_at: str
    media_bucket: str
    upload_prefix: str
    work_bucket: str
    intake_queue: str
    dead_letter_queue: str
    state_machine_arn: str
    table: str
    endpoints: dict[Analyzer, str]
    """Of the deployed analyzers."""
    missing: dict[Analyzer, list[str]]
    """analyzer -> commands that get the packs it lacks."""
    video_suffixes: list[str]
    """Ends of the keys that start an execution, in lower case; empty when any does."""
    folder: Path
    """Logs and temporary files of this instance."""

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def credentials(self) -> dict[str, str]:
        """Environment variables with which AWS tools use this stack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }
