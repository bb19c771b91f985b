"""How long the slowest valid files that we could think of take to load, for their size.

    python tests/fuzz/worst.py [N]

Prints megabytes of JSON, seconds, and seconds a megabyte of each kind of file, for N pieces and for
4 N (default 20000): when the last figure grows with N, something is not linear.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import instmodel as im


def copy(source: int, target: int, start: int = 0) -> dict[str, Any]:
    return {"type": "COPY", "input": source, "output": target, "internal_index": start}


def dot(source: int, target: int, weights: int) -> dict[str, Any]:
    return {"type": "DOT", "input": source, "output": target, "weights": weights}


def total(*sources: int, to: int) -> dict[str, Any]:
    return {"type": "ADD_ELEMENTWISE_BUFFERS", "input": sources, "output": to}


def lookup(table: int) -> dict[str, Any]:
    indexes = {"internal_input_index": 0, "internal_output_index": 0}
    place = {"type": "MAP_TRANSFORM", "input": 0, "output": 1, **indexes}
    return place | {"map": table, "size": 1, "default": [0]}


def documents(n: int) -> dict[str, dict[str, Any]]:
    nothing = {"type": "COPY_MASKED", "input": 1, "output": 2, "indexes": []}
    scattered = [copy(0, 1, 2 * i) for i in range(n)]
    rows = [[1]] * n
    return {
        "copies that leave gaps, from the end": {
            "buffer_sizes": [1, 2 * n, 1],
            "instructions": [*reversed(scattered), nothing],
        },
        "copies and readers, features unnamed": {
            "features": [],
            "buffer_sizes": [1, 2 * n, 1],
            "instructions": scattered[::2] + [nothing] * (n // 2),
        },
        "buffers that nothing uses": {"buffer_sizes": [1] * n, "instructions": [copy(0, 1)]},
        "one sum of many buffers": {
            "feature_size": n,
            "buffer_sizes": [1] * (n + 1),
            "instructions": [total(*range(n), to=n)],
        },
        "feature names": {
            "features": [f"f{i}" for i in range(n)],
            "buffer_sizes": [n],
            "instructions": [{"type": "ACTIVATION", "input": 0, "activation": "RELU"}],
        },
        "dense layers": {
            "buffer_sizes": [1, 1],
            "weights": [[[0]]] * n,
            "bias": [[0]] * n,
            "instructions": [dot(i % 2, 1 - i % 2, i) for i in range(n)],
        },
        "maps": {
            "buffer_sizes": [1, 1],
            "maps": [{"0": [0]}] * n,
            "instructions": [lookup(i) for i in range(n)],
        },
        "keys of a map": {
            "buffer_sizes": [1, 1],
            "maps": [{str(4000 * i): [0] for i in range(n)}],
            "instructions": [lookup(0)],
        },
        "validation cases": {
            "buffer_sizes": [1, 1],
            "instructions": [copy(0, 1)],
            "validation_data": {"inputs": rows, "expected_outputs": rows},
        },
        "a line of states, to its end": {
            "buffer_sizes": [1] * (n + 2),
            "instructions": [copy(i, i + 1) for i in reversed(range(n + 1))],
            "state": [{"buffer": i + 1} for i in range(n)],
        },
        "sequences without steps": {
            "buffer_sizes": [1, 1],
            "instructions": [copy(0, 1)],
            "state": [{"buffer": 1}],
            "validation_data": {"inputs": [[]] * n, "expected_outputs": [[]] * n},
        },
        "metadata": {
            "buffer_sizes": [1, 1],
            "instructions": [copy(0, 1)],
            "metadata": [[]] * n,
        },
    }


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    for count in (n, 4 * n):
        for name, parts in documents(count).items():
            features = {} if "features" in parts else {"feature_size": 1}
            text = json.dumps(features | {"weights": [], "bias": []} | parts)
            start = time.perf_counter()
            im.InstructionModel(im.InstructionModelInfo.from_json(text))
            took, size = time.perf_counter() - start, len(text) / 1e6
            line = f"{count:7} {name:37} {size:7.2f} MB {took:7.2f} s {took / size:6.2f} s/MB"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
