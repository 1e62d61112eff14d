"""Which of the installed packs a stack uses: one per role."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from local.packs.catalogue import load_catalogue
from local.packs.choice import read_choice
from local.packs.errors import UnknownPack
from local.packs.places import packs_folder
from screener import identity
from screener.observations import Analyzer
from screener.packs import InstalledPack, find_packs


def select_packs(
    home: Path, overrides: Mapping[str, str] | None = None
) -> dict[Analyzer, list[InstalledPack]]:
    """One installed pack per role: the override, else the user's standing choice, else the
    first in the order of the catalogue.

    Args:
        home: SCREENER_HOME, whose `packs/` is looked at.
        overrides: "analyzer.role" -> pack name, such as {"objects.detector": "yolov8m"}.

    Returns:
        Every analyzer; with an empty list when it has no pack at all.

    Raises:
        UnknownPack: an override or the choice names a pack that is not installed, or not for
            that role.
        InvalidPack: a folder below `packs/` does not hold a pack.
    """
    return select_exactly(home, read_choice(home) | dict(overrides or {}))


def select_exactly(home: Path, wishes: Mapping[str, str]) -> dict[Analyzer, list[InstalledPack]]:
    """As `select_packs`, but without the user's standing choice.

    Raises:
        UnknownPack, InvalidPack: see `select_packs`.
    """
    catalogue = load_catalogue()
    by_slot: dict[str, list[InstalledPack]] = {}
    for found in find_packs(packs_folder(home)):
        by_slot.setdefault(f"{found.pack.analyzer}.{found.pack.role}", []).append(found)
    wanted = dict(wishes)
    selected: dict[Analyzer, list[InstalledPack]] = {analyzer: [] for analyzer in Analyzer}
    for slot in sorted(by_slot):
        candidates = sorted(
            by_slot[slot],
            key=lambda found: (catalogue.preference(found.pack.name), found.pack.name),
        )
        name = wanted.pop(slot, candidates[0].pack.name)
        chosen = next((found for found in candidates if found.pack.name == name), None)
        if chosen is None:
            here = ", ".join(found.pack.name for found in candidates)
            raise UnknownPack(f"{slot}: {name} is not installed; installed: {here}")
        selected[chosen.pack.analyzer].append(chosen)
    if wanted:
        slot, name = next(iter(wanted.items()))
        raise UnknownPack(f"{slot}: {name} is not installed; no pack for {slot} is")
    return selected


def packs_digest(packs: Iterable[InstalledPack]) -> str:
    """Identity of the packs that one endpoint serves; the last part of their S3 prefix."""
    return identity.packs_digest((found.pack.role, found.pack.digest) for found in packs)


def missing_packs(home: Path) -> dict[Analyzer, list[str]]:
    """Per analyzer, the commands that get a pack for each role that has none installed."""
    present = {
        f"{found.pack.analyzer}.{found.pack.role}" for found in find_packs(packs_folder(home))
    }
    commands: dict[Analyzer, list[str]] = {analyzer: [] for analyzer in Analyzer}
    for slot, candidates in load_catalogue().defaults():
        if slot not in present:
            commands[candidates[0].analyzer].append(candidates[0].command)
    return commands
