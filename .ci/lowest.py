"""Write what pyproject.toml declares as ``name==lowest``, for ``pip install --constraint``.

``python .ci/lowest.py [extra …]`` takes the dependencies of the package and of these extras. Each
must have a lower bound and nothing else: what no bound says, no test can hold.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[\w,.-]+\])?>=(?P<lowest>[\w.]+)")


def lowest(extras: list[str]) -> list[str]:
    """Return a constraint for each dependency."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    found = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    constraints = {}
    for requirement in found:
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"{requirement!r} has no lower bound, or more than that")
        constraints[match["name"]] = match["lowest"]
    return [f"{name}=={version}" for name, version in sorted(constraints.items())]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(sys.argv[1:])) + "\n")
