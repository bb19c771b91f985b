"""The execution graph of a model as a picture: SVG, a page, or Mermaid text."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from instmodel.document.graph import MOST_EDGES
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import InputError, printable
from instmodel.model import InstructionModel
from instmodel.stores import location
from instmodel.verification.origins import input_origins, written_origins

SUFFIXES = (".svg", ".html", ".mmd")

_WIDTH, _HEIGHT = 190, 60  # of a box
_GAP_X, _GAP_Y = 20, 30
# What comes back: the mark of states.
_AGAIN = "↺"
_FILLS = {"input": "#fff3d6", "state": "#eadcf8", "instruction": "#e3eefb", "output": "#d9f2d9"}
# Of a state and of what becomes one.
_STATE_STROKE = "#7a4fb5"
# Boxes side by side, before those of the same depth go on below.
_MOST_BESIDE = 6
# The box of the input holds its names: in lines of so many pixels, as many as one looks at.
_INPUT_WIDTH, _MOST_LINES, _LINE = 400, 6, 16
# Names that a pointer over a box shows.
_MOST_TOLD = 100
# Pixels of a letter of the font size 12, and of a bold one.
_LETTER, _BOLD = 6.4, 7.4
# Taller pictures open as a whole on a desktop, and have a switch to their full size; a phone, where
# nobody could read them then, scrolls them within a box.
_TALL = 900
# Narrower rows stand in the middle; wider ones begin at the left, where a phone shows them.
_CENTRED = 700
# How far a picture shrinks to fit before it scrolls: letters of 12 pixels then have 9.
_SHRUNK = 0.76

# A page with tall graphs holds this among its styles: a box to tick, which needs no script.
SWITCH = """
  .full, .full + label { display: none }
  @media screen and (max-width: 60rem) { .full ~ .scroll { max-height: 80vh; overflow: auto } }
  @media screen and (min-width: 60rem) {
    .full, .full + label { display: inline; font-size: .85rem }
    .full:not(:checked) ~ .scroll > svg { width: auto !important; min-width: 0 !important; max-width: 100% !important; height: 80vh !important }
  }
"""  # noqa: E501
# On a screen, wide pictures scroll; on paper they shrink to fit a sheet.
_STYLE = (
    """
body { font-family: sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.3rem } h2 { font-size: 1.1rem }
figure { margin: 0; break-inside: avoid } .scroll { overflow-x: auto }
"""
    + SWITCH
    + """
@media print {
  @page { margin: 15mm } body { margin: 0 } .scroll { overflow: visible }
  svg { min-width: 0 !important; max-width: 100% !important; width: auto !important; height: auto }
  svg { max-height: 220mm }
}
"""
)


@dataclass(frozen=True, slots=True)
class Box:
    """An instruction in the picture, the input, or a state that the step before left.

    Attributes
    ----------
    kind : str
        ``"input"``, ``"state"`` or ``"instruction"``.
    title, subtitle : str
    parents : list of int
        Boxes whose results it reads, by their place in the list of boxes.
    depth : int
        Its row: one more than the deepest of its parents.
    names : list of str
        The features; of an instruction, those whose values it moves, changes one by one, or
        looks up.
    kept : bool
        Whether the next step finds its result in a state.
    """

    kind: str
    title: str
    subtitle: str
    parents: list[int]
    depth: int
    names: list[str]
    kept: bool = False


def boxes(model: InstructionModel) -> list[Box]:
    """Return the input, the states and every instruction, each after what it reads."""
    sizes = model.buffer_sizes
    graph = model.execution_graph
    if graph.edge_count > MOST_EDGES:
        raise InputError(
            "too_many_edges",
            "the execution graph is too large to draw",
            expected=f"at most {MOST_EDGES} edges",
            actual=graph.edge_count,
        )
    found = [Box("input", "input", _count(model.feature_size, "value"), [], 0, model.features)]
    # The box of what is in a buffer before any instruction has written all of it.
    given = {i: 0 for i, start in enumerate(model.buffer_offsets) if start < model.feature_size}
    for state in model.structure.state:
        given[state.buffer] = len(found)
        title = f"{_AGAIN} state: buffer {state.buffer}"
        first = "zeros" if state.initial is None else f"parameters {state.initial}"
        subtitle = f"{_count(sizes[state.buffer], 'value')}, at first {first}"
        found.append(Box("state", title, subtitle, [], 1, []))
    before = len(found)
    names = [f.name for f in model.named_features for _ in range(f.size)]
    steps = input_origins(model.instructions, sizes, model.feature_size)
    kept = _last_writers(model)
    for index, (item, origins) in enumerate(zip(model.instructions, steps, strict=True)):
        write = item.write(sizes)
        places = written_origins(item, sizes, origins).tolist() if names else []
        of = list(dict.fromkeys(names[place] for place in places if place >= 0))
        buffer = write.buffer
        activation = getattr(item, "activation", None)
        title = f"{index} {item.TYPE}" + (f" {activation}" if activation else "")
        above = [parent + before for parent in graph.nodes[index].parents]
        above = sorted({given[b] for b in item.reads() if b in given}) + above
        above = above or [0]
        if not write.partial:
            given.pop(buffer, None)
        depth = 1 + max(found[parent].depth for parent in above)
        subtitle = f"buffer {buffer}: {_count(sizes[buffer], 'value')}"
        if index in kept:
            subtitle += f" {_AGAIN} next step"
        found.append(Box("instruction", title, subtitle, above, depth, of, index in kept))
    return found


def _last_writers(model: InstructionModel) -> set[int]:
    """Return the instructions whose results the next step finds in a state."""
    writers: dict[int, set[int]] = {item.buffer: set() for item in model.structure.state}
    for index, item in enumerate(model.instructions):
        write = item.write(model.buffer_sizes)
        if write.buffer in writers:
            others = writers[write.buffer] if write.partial else set()
            writers[write.buffer] = {*others, index}
    return set().union(*writers.values())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def graph_figure(model: InstructionModel, caption: str, marked: int | None = None) -> str:
    """Return the graph as a figure of a page that has `SWITCH` among its styles."""
    svg = graph_svg(model, marked)
    switch = ""
    if _places(boxes(model))[2] > _TALL:
        switch = '<input type="checkbox" class="full" id="full"><label for="full">full size</label>'
    scrolled = f'<div class="scroll">{svg}</div>'
    return f"<figure><h2>{escape(caption)}</h2>{switch}{scrolled}</figure>"


def graph_svg(model: InstructionModel, marked: int | None = None) -> str:
    """Return the graph as one SVG element: rows from the input down, each instruction a box.

    Parameters
    ----------
    model : InstructionModel
    marked : int, optional
        An instruction to draw in red.
    """
    found = boxes(model)
    places, width, height = _places(found)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="execution graph" style="{_fitting(width, height)}" font-family="sans-serif" '
        'font-size="12">'
    ]
    for box, (x, y, wide, _) in zip(found, places, strict=True):
        for parent in box.parents:
            from_x, from_y, from_wide, from_high = places[parent]
            # From right above if that is under the parent, which may be wide.
            start = min(max(x + wide / 2, from_x + 12), from_x + from_wide - 12)
            start = start if parent == 0 else from_x + from_wide / 2
            parts.append(
                f'<line x1="{start:g}" y1="{from_y + from_high:g}" '
                f'x2="{x + wide / 2:g}" y2="{y:g}" stroke="#999"/>'
            )
    first = 1 + len(model.structure.state)
    for index, (box, place) in enumerate(zip(found, places, strict=True)):
        parts.append(_drawn(box, place, marked is not None and index == marked + first))
    return "".join(parts) + "</svg>"


# x, y, width and height.
_Place = tuple[float, float, float, float]


def _drawn(box: Box, place: _Place, is_marked: bool) -> str:
    x, y, wide, high = place
    fill = _FILLS[box.kind]
    stroke, title = _STATE_STROKE if box.kept or box.kind == "state" else "#456", box.title
    if is_marked:
        fill, stroke, title = "#fbdcd9", "#b3261e", f"▶ {title}"
    at, anchor = (x + wide / 2, "middle") if wide <= _CENTRED else (x + 12, "start")
    lines = [(title, ' font-weight="bold"' + _squeezed(_BOLD * len(title), wide))]
    for text, style in (
        (box.subtitle, ""),
        *((line, ' fill="#555"') for line in _name_lines(box, wide)),
    ):
        lines.append((text, style + _squeezed(_LETTER * len(text), wide)))
    top = y + (high - _LINE * len(lines)) / 2 + 12
    texts = [
        f'<text x="{at:g}" y="{top + _LINE * i:g}" text-anchor="{anchor}"{style}>'
        f"{escape(text)}</text>"
        for i, (text, style) in enumerate(lines)
    ]
    told = escape(", ".join(box.names[:_MOST_TOLD]))
    return (
        f'<g class="box{" marked" * is_marked}"><title>{told}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="5" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{3 if is_marked else 1}"/>{"".join(texts)}</g>'
    )


def _squeezed(needed: float, wide: float) -> str:
    """Return what makes a text fit that needs more than its box is wide."""
    if needed <= wide - 12:
        return ""
    return f' textLength="{wide - 12:g}" lengthAdjust="spacingAndGlyphs"'


def _name_lines(box: Box, wide: float) -> list[str]:
    """Return the names of a box in lines that fit it, as far as they have room."""
    most = _MOST_LINES if box.kind == "input" else 1
    letters = int((wide - 12) / _LETTER)
    names = [printable(name) for name in box.names]
    lines: list[str] = []
    for count, name in enumerate(names):
        rest = len(names) - count
        joined = f"{lines[-1]}, {name}" if lines else name
        more = f" + {rest - 1} more" if rest > 1 and len(lines) >= most else ""
        if lines and len(joined) + len(more) <= letters:
            lines[-1] = joined
        elif len(lines) < most:
            lines.append(name if len(name) <= letters else f"{name[: letters - 1]}…")
        else:
            lines[-1] += f" + {rest} more"
            break
    return lines


def _fitting(width: float, height: float) -> str:
    """Return the style of a picture that shrinks to fit as long as one can read it."""
    least = _SHRUNK * width
    return f"display:block;max-width:{width:g}px;min-width:{least:.0f}px;width:100%;height:auto"


def _places(found: list[Box]) -> tuple[list[_Place], float, float]:
    """Return where each box is, and width and height of the picture.

    Boxes of the same depth stand side by side, as many as fit; more go on below them.
    """
    rows = Counter(box.depth for box in found)
    beside = min(_MOST_BESIDE, max(rows.values()))
    width = beside * (_WIDTH + _GAP_X) + _GAP_X
    if found[0].names:
        width = max(width, _INPUT_WIDTH + _GAP_X)
    wide = width - _GAP_X if found[0].names else _WIDTH
    names = _name_lines(found[0], wide)
    high = max(_HEIGHT, _LINE * (2 + len(names)) + 12)
    tops, top = {}, _GAP_Y / 2
    for depth in range(len(rows)):
        tops[depth] = top
        lines = -(-rows[depth] // beside)
        top += (high if depth == 0 else _HEIGHT) * lines + _GAP_Y * lines
    drawn: Counter[int] = Counter()
    places: list[_Place] = []
    for box in found:
        line, nth = divmod(drawn[box.depth], beside)
        drawn[box.depth] += 1
        count = min(beside, rows[box.depth] - line * beside)
        own, tall = (wide, high) if box is found[0] else (_WIDTH, _HEIGHT)
        taken = count * (own + _GAP_X) - _GAP_X
        left = (width - taken) / 2 if width <= _CENTRED else _GAP_X / 2
        x = left + nth * (own + _GAP_X)
        places.append((x, tops[box.depth] + line * (_HEIGHT + _GAP_Y), own, tall))
    return places, float(width), top - _GAP_Y / 2


def graph_mermaid(model: InstructionModel) -> str:
    """Return the graph as the text of a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for index, box in enumerate(boxes(model)):
        left, right = ("([", "])") if box.kind == "state" else ("[", "]")
        lines.append(f'    n{index}{left}"{box.title}<br/>{box.subtitle}"{right}')
        lines += [f"    n{parent} --> n{index}" for parent in box.parents]
    return "\n".join(lines) + "\n"


def memory_svg(model: InstructionModel) -> str:
    """Return the buffers side by side, as wide as they are long; a narrow one stays visible."""
    sizes, offsets = model.buffer_sizes, model.buffer_offsets
    least = sum(sizes) / 60
    widths = [max(size, least) for size in sizes]
    scale = 900 / sum(widths)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 64" width="900" '
        f'height="64" role="img" aria-label="memory layout" style="{_fitting(900, 64)}" '
        'font-family="sans-serif" font-size="12">'
    ]
    x = 0.0
    for index, (size, offset, wide) in enumerate(zip(sizes, offsets, widths, strict=True)):
        is_state = index in model.structure.state_buffers
        kind = "state" if is_state else "instruction"
        kind = "input" if offset < model.feature_size else kind
        kind = "output" if index == len(sizes) - 1 else kind
        stroke = _STATE_STROKE if is_state else "#456"
        told = f"buffer {index}: {size} floats from {offset} on" + ", a state" * is_state
        drawn = wide * scale
        parts.append(
            f"<g><title>{told}</title>"
            f'<rect x="{x:.1f}" y="4" width="{drawn:.1f}" height="30" fill="{_FILLS[kind]}" '
            f'stroke="{stroke}"/>'
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
            f"<body><h1>{title}</h1>{graph_figure(model, 'Instructions')}"
            f'<figure><h2>Memory</h2><div class="scroll">{memory_svg(model)}</div></figure>'
            "</body></html>"
        )
    with location(path).replacing() as file:
        file.write(text.encode())


def html_of(model: Any) -> str:
    """Return what a notebook shows of a document or a model."""
    if isinstance(model, InstructionModelInfo):
        model = InstructionModel(model, validate=False)
    summary = (
        f"{_count(model.feature_size, 'input')}, {_count(model.output_size, 'output')}, "
        f"{_count(len(model.instructions), 'instruction')}"
        + (f", a state of {_count(model.state_size, 'value')}" if model.is_recurrent else "")
    )
    pictures = f"{graph_svg(model)}{memory_svg(model)}"
    return f'<div style="overflow-x:auto"><p>Instruction model: {summary}</p>{pictures}</div>'
