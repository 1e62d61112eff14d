"""Where packs live and where their weights may come from without a network."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

_REPOSITORY = Path(__file__).resolve().parents[2]


class Places(BaseSettings):
    """Folders, from the environment. An empty variable counts as unset."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    screener_home: Path | None = None
    """SCREENER_HOME: everything that Screener keeps on this machine."""
    xdg_cache_home: Path | None = None
    screener_model_mirror: Path | None = None
    """SCREENER_MODEL_MIRROR: a folder with weights, for machines without a network."""

    @property
    def home(self) -> Path:
        if self.screener_home is not None:
            return self.screener_home.expanduser().absolute()
        cache = self.xdg_cache_home
        # The XDG rules say that a relative path is invalid and must be ignored.
        base = cache if cache and cache.is_absolute() else Path.home() / ".cache"
        return base / "screener"

    @property
    def mirror(self) -> Path | None:
        """The mirror folder, when there is one."""
        folder = self.screener_model_mirror or _REPOSITORY.parent / "shared" / "models"
        return folder.expanduser().absolute() if folder.expanduser().is_dir() else None


def packs_folder(home: Path) -> Path:
    """One folder per pack, named as the pack."""
    return home / "packs"


def scratch_folder(home: Path) -> Path:
    """Downloads and packs in the making; on the same file system, so that a rename is atomic."""
    return home / "scratch"
