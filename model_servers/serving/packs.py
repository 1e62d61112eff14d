"""The packs of one server, checked and looked up by role."""

from collections.abc import Iterable
from pathlib import Path

from screener.errors import InvalidPack
from screener.observations import Analyzer, PackReference
from screener.packs import InstalledPack, verify_pack


class PackSet:
    """Verified packs of one analyzer, at most one per role."""

    def __init__(self, installed: Iterable[InstalledPack]) -> None:
        self._by_role = {item.pack.role: item for item in installed}

    @property
    def references(self) -> list[PackReference]:
        return [self._by_role[role].pack.reference for role in sorted(self._by_role)]

    def find(self, role: str) -> InstalledPack | None:
        return self._by_role.get(role)

    def require(self, role: str) -> InstalledPack:
        """The pack of a role that the server cannot do without.

        Raises:
            InvalidPack: there is none.
        """
        found = self._by_role.get(role)
        if found is None:
            present = ", ".join(sorted(self._by_role)) or "none"
            raise InvalidPack(f"no pack with role {role!r} (present: {present})")
        return found


def load_packs(folders: Iterable[Path], analyzer: Analyzer, roles: frozenset[str]) -> PackSet:
    """Verify every byte of the packs and make sure that each belongs here.

    Raises:
        InvalidPack: no pack at all; a pack that fails its check, belongs to another analyzer,
            has a role that this server does not know, or a role that another pack has.
    """
    installed: dict[str, InstalledPack] = {}
    for folder in folders:
        item = verify_pack(folder)
        if item.pack.analyzer is not analyzer:
            raise InvalidPack(f"{folder}: a pack of {item.pack.analyzer}, not of {analyzer}")
        if item.pack.role not in roles:
            raise InvalidPack(
                f"{folder}: role {item.pack.role!r}; {analyzer} knows {', '.join(sorted(roles))}"
            )
        if item.pack.role in installed:
            raise InvalidPack(
                f"{folder}: {installed[item.pack.role].folder} has the role {item.pack.role!r} too"
            )
        installed[item.pack.role] = item
    if not installed:
        raise InvalidPack(
            f"no model pack for {analyzer}: set SCREENER_PACKS to pack folders "
            "or put packs below /opt/ml/model"
        )
    return PackSet(installed.values())
