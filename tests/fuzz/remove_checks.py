"""Remove each check of the binary reader, one at a time: some test must fail.

``python tests/fuzz/remove_checks.py [first [last]]`` works on a copy of the package in a temporary
folder. A *check* is a ``raise``, one side of an ``or`` that leads to a ``raise``, a call whose name
says that it checks, or an argument that makes msgpack strict. Checks that no test misses are named
at the end, and the exit status is 1.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = Path("instmodel", "formats", "binary_reader.py")
TESTS = [
    *("formats/test_binary.py", "formats/test_fuzz.py", "model/test_faults.py"),
    "-k",
    # Without what only repeats the same many times over.
    "not mutants and not flipped and not prefixes_are and not allocation and not memory_stays "
    "and not forks and not heavy and not every_flipped",
]
CALLS = ("check_", "_check_", "finish")
STRICT = {"raw": "True", "object_pairs_hook": None, "ext_hook": None}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def removals(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield each removal: the line, what was removed, and the source without it."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    for node in nodes:
        for _, block in ast.iter_fields(node):
            if not isinstance(block, list):
                continue
            for at, item in enumerate(block):
                if isinstance(item, ast.Raise) or _is_check(item):
                    block[at] = ast.copy_location(ast.Pass(), item)
                    yield item.lineno, ast.unparse(item), ast.unparse(tree)
                    block[at] = item
    for node in nodes:
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            test = node.test
            if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
                for at, part in enumerate(test.values):
                    test.values[at] = ast.copy_location(ast.Constant(False), part)
                    yield part.lineno, f"if {ast.unparse(part)}", ast.unparse(tree)
                    test.values[at] = part
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "msgpack.unpackb":
            for at, keyword in enumerate(list(node.keywords)):
                if keyword.arg in STRICT:
                    weaker = STRICT[keyword.arg]
                    kept = list(node.keywords)
                    changed = ast.keyword(
                        keyword.arg, ast.parse(weaker or "None", mode="eval").body
                    )
                    node.keywords[at : at + 1] = [changed] if weaker else []
                    yield node.lineno, ast.unparse(keyword), ast.unparse(tree)
                    node.keywords[:] = kept


def _is_check(item: ast.AST) -> bool:
    if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Call)):
        return False
    return ast.unparse(item.value.func).split(".")[-1].startswith(CALLS)


def failing_test(folder: Path) -> str | None:
    """Run the tests on the package in `folder`; return the first that fails, or None."""
    tests = [str(ROOT / "tests" / item) if item.endswith(".py") else item for item in TESTS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-rfE",
        "--timeout=60",
        "-p",
        "no:cacheprovider",
    ]
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=folder,  # comes first on the path of `-m`
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "(timeout)"
    if done.returncode == 0:
        return None
    found = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return found[0].split(" - ")[0] if found else f"(exit status {done.returncode})"


def main() -> int:
    first, last = (*map(int, sys.argv[1:]), 0, 10**6)[:2] if sys.argv[1:] else (0, 10**6)
    source = (ROOT / FILE).read_text()
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "instmodel", folder / "instmodel")
        where = "import instmodel; print(instmodel.__file__)"
        env = {**os.environ, "PYTHONPATH": name}
        used = subprocess.check_output([sys.executable, "-c", where], cwd=name, env=env, text=True)
        assert used.startswith(name), used
        if broken := failing_test(folder):
            say(f"the tests fail before anything is removed: {broken}")
            return 2
        cases = list(removals(source))[first:last]
        for number, (line, what, changed) in enumerate(cases, first):
            (folder / FILE).write_text(changed)
            found = failing_test(folder)
            text = f"{number:3} line {line}: {' '.join(what.split())[:100]}"
            say(f"{text}\n      {found or 'SURVIVED'}")
            if not found:
                survivors.append(text)
    say(f"{len(cases)} checks removed, {len(survivors)} missed by no test")
    for text in survivors:
        say(text)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
