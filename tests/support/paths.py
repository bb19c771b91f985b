"""Where things lie that tests read."""

from pathlib import Path

import instmodel as im

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
# What the installed package brings along.
SHIPPED = Path(im.__file__).parent / "examples"
CSRC = ROOT / "instmodel" / "csrc"
