"""The execution graph of a model as a picture: SVG, a page, or Mermaid text."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from instmodel.base.atomic import replacing
from instmodel.document.graph import MOST_EDGES
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError, printable
from instmodel.model import InstructionModel

SUFFIXES = (".svg", ".html", ".mmd")

_WIDTH, _HEIGHT = 190, 44  # of a box
_GAP_X, _GAP_Y = 20, 30

# On a screen, wide pictures scroll; on paper they shrink to fit a sheet.
_STYLE = """
body { font-family: sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem }
figure { margin: 0; overflow-x: auto; break-inside: avoid }
svg { max-width: none !important }
@media print {
  @page { margin: 15mm } body { margin: 0 } figure { overflow: visible }
  svg { max-width: 100% !important; max-height: 220mm; width: auto; height: auto }
}
"""


@dataclass(frozen=True, slots=True)
class Box:
    """An instruction in the picture, or the input.

    Attributes
    ----------
    title, subtitle : str
    parents : list of int
        Boxes whose results it reads, by their place in the list of boxes.
    depth : int
        Its row: one more than the deepest of its parents.
    """

    title: str
    subtitle: str
    parents: list[int]
    depth: int


def boxes(model: InstructionModel) -> list[Box]:
    """Return the input and every instruction, each after what it reads."""
    sizes = model.buffer_sizes
    graph = model.execution_graph
    if graph.edge_count > MOST_EDGES:
        raise InputError(
            "too_many_edges",
            "the execution graph is too large to draw",
            expected=f"at most {MOST_EDGES} edges",
            actual=graph.edge_count,
        )
    found = [Box("input", _count(model.feature_size, "value"), [], 0)]
    # Buffers in which inputs still are.
    inputs = {i for i, start in enumerate(model.buffer_offsets) if start < model.feature_size}
    for index, item in enumerate(model.instructions):
        write = item.write(sizes)
        buffer = write.buffer
        activation = getattr(item, "activation", None)
        title = f"{index} {item.TYPE}" + (f" {activation}" if activation else "")
        above = [parent + 1 for parent in graph.nodes[index].parents]
        if not above or inputs.intersection(item.reads()):
            above.insert(0, 0)
        if not write.partial:
            inputs.discard(buffer)
        depth = 1 + max(found[parent].depth for parent in above)
        subtitle = f"buffer {buffer}: {_count(sizes[buffer], 'value')}"
        found.append(Box(title, subtitle, above, depth))
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def graph_svg(model: InstructionModel) -> str:
    """Return the graph as one SVG element: rows from the input down, each instruction a box."""
    found = boxes(model)
    places, width, height = _places(found)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" '
        f'width="{width}" height="{height:g}" role="img" aria-label="execution graph" '
        'style="max-width:100%;height:auto" font-family="sans-serif" font-size="12">'
    ]
    for box, (x, y) in zip(found, places, strict=True):
        for parent in box.parents:
            from_x, from_y = places[parent]
            parts.append(
                f'<line x1="{from_x + _WIDTH / 2:g}" y1="{from_y + _HEIGHT:g}" '
                f'x2="{x + _WIDTH / 2:g}" y2="{y:g}" stroke="#888"/>'
            )
    for index, (box, (x, y)) in enumerate(zip(found, places, strict=True)):
        middle = x + _WIDTH / 2
        parts.append(
            f'<g class="box"><rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" '
            f'fill="{"#fff3d6" if index == 0 else "#e3eefb"}" stroke="#456"/>'
            f'<text x="{middle:g}" y="{y + 18:g}" text-anchor="middle" font-weight="bold" '
            f'textLength="{min(_WIDTH - 12, 7 * len(box.title))}" lengthAdjust="spacingAndGlyphs">'
            f'{escape(box.title)}</text><text x="{middle:g}" y="{y + 35:g}" '
            f'text-anchor="middle">{escape(box.subtitle)}</text></g>'
        )
    return "".join(parts) + "</svg>"


def _places(found: list[Box]) -> tuple[list[tuple[float, float]], int, int]:
    """Return the upper left corner of each box, and width and height of the picture.

    Boxes of the same depth stand side by side, in the middle.
    """
    rows = Counter(box.depth for box in found)
    width = max(rows.values()) * (_WIDTH + _GAP_X) + _GAP_X
    height = len(rows) * (_HEIGHT + _GAP_Y) + _GAP_Y
    lefts = {
        depth: (width - count * (_WIDTH + _GAP_X) + _GAP_X) / 2 for depth, count in rows.items()
    }
    places = []
    for box in found:
        places.append((lefts[box.depth], _GAP_Y / 2 + box.depth * (_HEIGHT + _GAP_Y)))
        lefts[box.depth] += _WIDTH + _GAP_X
    return places, width, height


def graph_mermaid(model: InstructionModel) -> str:
    """Return the graph as the text of a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for index, box in enumerate(boxes(model)):
        lines.append(f'    n{index}["{box.title}<br/>{box.subtitle}"]')
        lines += [f"    n{parent} --> n{index}" for parent in box.parents]
    return "\n".join(lines) + "\n"


def memory_svg(model: InstructionModel) -> str:
    """Return the buffers side by side, as wide as they are long; a narrow one stays visible."""
    sizes, offsets = model.buffer_sizes, model.buffer_offsets
    least = sum(sizes) / 60
    widths = [max(size, least) for size in sizes]
    scale = 900 / sum(widths)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 64" width="900" height="64" '
        'role="img" aria-label="memory layout" style="max-width:100%;height:auto" '
        'font-family="sans-serif" font-size="11">'
    ]
    x = 0.0
    for index, (size, offset, wide) in enumerate(zip(sizes, offsets, widths, strict=True)):
        fill = "#fff3d6" if offset < model.feature_size else "#e3eefb"
        fill = "#d9f2d9" if index == len(sizes) - 1 else fill
        drawn = wide * scale
        parts.append(
            f"<g><title>buffer {index}: {size} floats from {offset} on</title>"
            f'<rect x="{x:.1f}" y="4" width="{drawn:.1f}" height="30" fill="{fill}" stroke="#456"/>'
        )
        if drawn >= 14:
            middle = x + drawn / 2
            parts.append(f'<text x="{middle:.1f}" y="24" text-anchor="middle">{index}</text>')
            if drawn >= 34:
                parts.append(f'<text x="{middle:.1f}" y="50" text-anchor="middle">{size}</text>')
        parts.append("</g>")
        x += drawn
    return "".join(parts) + "</svg>"


def write_graph(model: InstructionModel, path: str | os.PathLike[str], name: str = "") -> None:
    """Write the graph as a file, completely or not at all.

    Parameters
    ----------
    model : InstructionModel
    path : path-like
        Ends in ``.svg``, ``.html`` or ``.mmd``.
    name : str
        The title of the page.
    """
    ending = Path(path).suffix.lower()
    if ending not in SUFFIXES:
        raise InputError(
            "invalid_document", f"the name must end in {', '.join(SUFFIXES)}", file=path
        )
    if ending == ".mmd":
        text = graph_mermaid(model)
    elif ending == ".svg":
        text = graph_svg(model)
    else:
        title = escape(printable(name))
        text = (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
            f"<body><h1>{title}</h1><figure>{graph_svg(model)}</figure>"
            f"<figure><h2>Memory</h2>{memory_svg(model)}</figure></body></html>"
        )
    with replacing(path) as file:
        file.write(text.encode())


def html_of(model: Any) -> str:
    """Return what a notebook shows of a document or a model."""
    if isinstance(model, InstructionModelInfo):
        model = InstructionModel(model, validate=False)
    summary = (
        f"{_count(model.feature_size, 'input')}, {_count(model.output_size, 'output')}, "
        f"{_count(len(model.instructions), 'instruction')}"
    )
    return f"<div><p>Instruction model: {summary}</p>{graph_svg(model)}{memory_svg(model)}</div>"
