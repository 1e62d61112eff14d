"""Model packs on this machine: getting, checking, choosing, making and publishing them."""

from local.packs.places import Places, packs_folder
from local.packs.selection import missing_packs, packs_digest, select_packs

__all__ = ["Places", "missing_packs", "packs_digest", "packs_folder", "select_packs"]
