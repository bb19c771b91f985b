"""``instmodel inspect``: what a model is made of."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import instmodel as im
from instmodel.cli.arguments import OK, Commands, add_command, add_limit_argument, limits
from instmodel.cli.console import table
from instmodel.errors import printable
from instmodel.reports.facts import model_facts


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "inspect", run, "Show what a model is made of.")
    command.add_argument("model", metavar="MODEL")
    command.add_argument("--json", action="store_true", help="as JSON, for programs")
    command.add_argument(
        "--graph", metavar="FILE", help="draw the execution graph: .svg, .html or .mmd (Mermaid)"
    )
    add_limit_argument(command)


def run(args: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    model = im.load(args.model, limits=limits(args), validate=False)
    facts = model_facts(model)
    if args.graph:
        from instmodel.reports.graph import write_graph

        write_graph(model, args.graph, args.model)
        print(f"{printable(args.graph)}: the graph of {len(model.instructions)} instructions")
        return OK
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        _show(args.model, facts)
    return OK


def _show(name: str, facts: dict[str, Any]) -> None:
    counts, graph = facts["counts"], facts["execution_graph"]
    print(printable(name))
    print(f"  digest            {facts['digest']}")
    print(f"  inputs            {facts['feature_size']}")
    print(f"  outputs           {facts['output_size']}")
    print(f"  weights, biases   {counts['weights']}, {counts['biases']}")
    print(f"  parameters        {counts['parameters']}")
    if counts["map_values"]:
        print(f"  map values        {counts['map_values']}")
    print(f"  memory per row    {facts['required_memory']} floats, {facts['memory_bytes']} bytes")
    if facts["state"]:
        kept = ", ".join(str(item["buffer"]) for item in facts["state"])
        noun = "buffer" if len(facts["state"]) == 1 else "buffers"
        print(f"  state             {facts['state_size']} floats a sequence, {noun} {kept}")
    print(f"  validation cases  {counts['validation_cases']}")
    if facts["signature"] is not None:
        count = len(facts["signature"]["features"])
        print(f"  signature         of {count} features: instmodel signature shows it")
    print(f"  parallelizable    {'yes' if graph['parallelizable'] else 'no'}")
    children = graph["children"]
    if children is None:
        print(f"  edges             {graph['edges']}, too many to list")

    columns = ["#", "name", "values"]
    named = [[i, f["name"], f["size"]] for i, f in enumerate(facts["features"])]
    if any("categories" in feature for feature in facts["features"]):
        columns += ["categories", "unknown text"]
        named = [row + _categories(f) for row, f in zip(named, facts["features"], strict=True)]
    _print_table("Features", columns, named)
    buffers = [[b["index"], b["size"], b["offset"], b["role"]] for b in facts["buffers"]]
    _print_table("Buffers", ["#", "size", "offset", "role"], buffers)
    if facts["state"]:
        rows = [[item["buffer"], _initial(item)] for item in facts["state"]]
        _print_table("State", ["buffer", "before the first step"], rows)
    steps = [
        [
            i,
            item["type"],
            _one_line(item),
            "root" if i in graph["roots"] else "",
            ", ".join(map(str, children[i])) if children else "",
        ]
        for i, item in enumerate(facts["instructions"])
    ]
    _print_table("Instructions", ["#", "type", "fields", "root", "then"], steps)


def _initial(state: dict[str, Any]) -> str:
    return f"parameters {state['initial']}" if "initial" in state else "zeros"


def _categories(feature: dict[str, Any]) -> list[object]:
    if "categories" not in feature:
        return ["", ""]
    texts = feature["categories"]
    shown = ", ".join(printable(repr(text), 30) for text in texts[:4])
    more = f", … ({len(texts)})" if len(texts) > 4 else ""
    unknown = feature["unknown"]
    return [shown + more, unknown if isinstance(unknown, str) else f"{unknown:g}"]


def _one_line(fields: dict[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            shown = ", ".join(map(str, value[:8])) + (", …" if len(value) > 8 else "")
            value = f"[{shown}] ({len(value)})" if len(value) > 8 else f"[{shown}]"
        if name != "type":
            parts.append(f"{name}={value}")
    return " ".join(parts)


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n{title}")
    print(table(columns, rows, styled=sys.stdout.isatty()) if rows else "(not named)\n", end="")
