"""Make the tables of docs/errors.md of the register of codes; a test compares.

Usage: python -m support.error_page
"""

from __future__ import annotations

from instmodel.error_codes import AREAS
from support.paths import ROOT

PAGE = ROOT / "docs" / "errors.md"
# The page is written by hand up to this heading.
HEADING = "\n## All codes\n"


def page():
    """Return the text of the page as it should be."""
    return PAGE.read_text("utf-8").partition(HEADING)[0] + HEADING + tables()


def tables():
    parts = []
    for title, rules in AREAS.items():
        parts.append(f"\n### {title}\n\n| code | meaning | a message |\n| --- | --- | --- |\n")
        for code, (meaning, example) in rules.items():
            parts.append(f"| `{code}` | {_cell(meaning)} | {_cell(_literal(example))} |\n")
    return "".join(parts)


def _literal(text):
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _cell(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
