"""The table of the taxonomy in docs/policy.md; run this file with --write to renew it."""

import sys
from pathlib import Path

from screener import taxonomy
from tests.taxonomy_answers import answered_by

PAGE = Path(__file__).resolve().parents[3] / "docs" / "policy.md"
START = "<!-- taxonomy: written by tests/unit/screener/test_taxonomy_docs.py --write -->\n"
END = "<!-- end of taxonomy -->"


def table() -> str:
    tree = taxonomy.load()
    lines = ["", "| category | of managed services | answered by | |", "|---|---|---|---|"]
    for path, category in tree.categories.items():
        if len(category.names) > 2:
            continue
        answers = ", ".join(source.value for source in answered_by(tree, path)) or "nothing"
        name = category.name if len(category.names) > 1 else f"**{category.name}**"
        lines.append(
            f"| {name} (`{path}`) | {category.managed or ''} | {answers} | {category.note or ''} |"
        )
    return "\n".join([*lines, "", ""])


def test_the_page_has_the_current_taxonomy():
    text = PAGE.read_text("utf-8")
    shown = text[text.index(START) + len(START) : text.index(END)]
    assert shown == table(), "run: python tests/unit/screener/test_taxonomy_docs.py --write"


if __name__ == "__main__" and "--write" in sys.argv:
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(START)
    PAGE.write_text(head + START + table() + END + rest.partition(END)[2], "utf-8")
