"""The taxonomy: what every label of every model means, in three levels.

A category is written as its path, `violence.weapons.firearms`; a shorter path means the
whole branch. The one source is `taxonomy.yaml` beside this file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import yaml

SEPARATOR = "."
UNMAPPED_OBJECT = "everyday_objects"
"""Where a detector's class belongs that the taxonomy does not list."""


class Source(StrEnum):
    """What can answer a question about a video. The order is that of the document."""

    NUDENET = "nudenet"
    OPENNSFW2 = "opennsfw2"
    KNOWN_FACES = "known_faces"
    TERMS = "terms"
    OBJECTS = "objects"
    SCENES = "scenes"


_LABEL_SOURCES = (Source.NUDENET, Source.OPENNSFW2, Source.OBJECTS)


@dataclass(frozen=True)
class Category:
    """One node of the taxonomy."""

    path: str
    names: tuple[str, ...]
    """Readable names from level one down to this node."""
    managed: str | None
    """What managed moderation services call it."""
    labels: Mapping[Source, tuple[str, ...]]
    """Labels of models that mean exactly this node."""
    by_policy: tuple[Source, ...]
    """Sources whose categories a policy gives, and that can answer this node."""
    note: str | None

    @property
    def name(self) -> str:
        return self.names[-1]


@dataclass(frozen=True)
class Taxonomy:
    categories: Mapping[str, Category]
    """By path; parents before children."""

    def of_label(self, source: Source, label: str) -> str | None:
        """Path of a model's label; None when the taxonomy does not have it."""
        return self._paths_by_label.get((source, label.casefold()))

    def names(self, path: str) -> list[str]:
        category = self.categories.get(path)
        return list(category.names) if category else [path]

    @property
    def _paths_by_label(self) -> Mapping[tuple[Source, str], str]:
        return _label_index(self)

    def __hash__(self) -> int:
        return id(self)


@cache
def _label_index(taxonomy: Taxonomy) -> dict[tuple[Source, str], str]:
    index: dict[tuple[Source, str], str] = {}
    for category in taxonomy.categories.values():
        for source, labels in category.labels.items():
            for label in labels:
                known = index.setdefault((source, label.casefold()), category.path)
                if known != category.path:
                    raise ValueError(f"{source} label {label!r} is in {known} and {category.path}")
    return index


def is_within(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or lies below it."""
    return path == ancestor or path.startswith(ancestor + SEPARATOR)


@cache
def load() -> Taxonomy:
    """The shipped taxonomy."""
    text = resources.files("screener").joinpath("taxonomy.yaml").read_text("utf-8")
    return Taxonomy({category.path: category for category in _walk(yaml.safe_load(text), "", ())})


def _walk(nodes: Mapping[str, Any], prefix: str, names: tuple[str, ...]) -> Iterator[Category]:
    for key, node in nodes.items():
        path = prefix + key
        here = (*names, str(node["name"]))
        yield Category(
            path=path,
            names=here,
            managed=node.get("managed"),
            labels={
                source: tuple(node[source.value]) for source in _LABEL_SOURCES if source in node
            },
            by_policy=tuple(Source(value) for value in node.get("by_policy", ())),
            note=node.get("note"),
        )
        yield from _walk(node.get("children", {}), path + SEPARATOR, here)
