"""Which sources can answer which category, for the tests of the taxonomy and of its page."""

from screener.taxonomy import Source, Taxonomy, is_within


def answered_by(tree: Taxonomy, path: str) -> list[Source]:
    """Sources that can answer a category or something below it; empty when none can."""
    found = {
        source
        for category in tree.categories.values()
        if is_within(category.path, path)
        for source in (*category.labels, *category.by_policy)
    }
    return [source for source in Source if source in found]
