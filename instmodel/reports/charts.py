"""Small charts as SVG text: bars and lines, without a library and without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from instmodel.errors import printable
from instmodel.signatures.population import LARGE, SLIGHT

# Colours that differ in lightness, too: they stay apart in print and for the colour-blind.
COLOURS = ("#1b5e9b", "#e07b00")
_WIDTH, _HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 30, 46
_GRID, _INK = "#e3e3e3", "#444"
# Characters of a name beside a bar.
_MOST_LETTERS = 22
# About how wide a digit is.
_LETTER = 7

Series = Sequence[tuple[str, Sequence[float]]]
Curves = Sequence[tuple[str, Sequence[Sequence[float]]]]


def bars(
    series: Series,
    ticks: Sequence[tuple[float, str]],
    title: str,
    labels: tuple[str, str],
    mark: tuple[float, str] | None = None,
) -> str:
    """Return a bar chart; bars of several series stand before each other, half transparent.

    Parameters
    ----------
    series : sequence of (name, heights)
    ticks : sequence of (position, text)
        Labels under the axis; position 0 is the left edge of the first bar, 1 that of the second.
    title : str
        For who cannot see the picture.
    labels : (str, str)
        What the axes are.
    mark : (position, text), optional
        A line across the bars.
    """
    count = max(len(heights) for _, heights in series)
    top = max((max(heights) for _, heights in series), default=0) or 1
    plot = _Plot((0, count), (0, top))
    parts = plot.axes([*ticks], plot.y_ticks(), labels)
    for colour, (name, heights) in zip(COLOURS, series, strict=False):
        for place, height in enumerate(heights):
            if height:
                x, y = plot.at(place, height)
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{plot.wide / count:.1f}" '
                    f'height="{plot.base - y:.1f}" fill="{colour}" fill-opacity="0.55">'
                    f"<title>{_safe(name)}: {height:g}</title></rect>"
                )
    if mark:
        x, _ = plot.at(mark[0], 0)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{plot.base}" stroke="{_INK}" '
            f'stroke-dasharray="4 3"/>{_text(x + 4, _TOP + 10, mark[1], "start")}'
        )
    return _svg(parts, title, [name for name, _ in series])


def lines(
    series: Curves,
    title: str,
    labels: tuple[str, str],
    ends: tuple[tuple[float, float], tuple[float, float]] = ((0, 1), (0, 1)),
    *,
    diagonal: bool = False,
    dots: bool = False,
) -> str:
    """Return curves; where both axes are shares, in a square.

    Parameters
    ----------
    series : sequence of (name, points)
        Points (x, y).
    title : str
    labels : (str, str)
        What the axes are.
    ends : ((float, float), (float, float))
        Where the axes begin and end.
    diagonal : bool
        Whether to draw a line from the lower left to the upper right.
    dots : bool
        Whether to mark the points.
    """
    plot = _Plot(*ends, square=ends[0] == ends[1])
    parts = plot.axes(plot.x_ticks(), plot.y_ticks(), labels)
    if diagonal:
        (x1, x2), (y1, y2) = ends
        start, end = plot.at(x1, y1), plot.at(x2, y2)
        parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            'stroke="#999" stroke-dasharray="4 3"/>'
        )
    for colour, (name, points) in zip(COLOURS, series, strict=False):
        places = [plot.at(x, y) for x, y in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{drawn}" stroke="{colour}" stroke-width="2" fill="none">'
            f"<title>{_safe(name)}</title></polyline>"
        )
        if dots:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places
            ]
    return _svg(parts, title, [name for name, _ in series])


def rows(
    names: Sequence[str],
    series: Series,
    title: str,
    label: str,
    marks: Sequence[tuple[float, str]] = (),
    ranges: Sequence[Sequence[Sequence[float]]] = (),
) -> str:
    """Return bars that lie on their side, one below the other, with a name each.

    Parameters
    ----------
    names : sequence of str
    series : sequence of (name, lengths)
    title : str
    label : str
        What the axis is.
    marks : sequence of (position, text)
        Lines across the bars.
    ranges : sequence of sequences of (low, high)
        For each series the intervals around the ends of its bars.
    """
    lengths = [length for _, values in series for length in values if math.isfinite(length)]
    beyond = [at for at, _ in marks] + [high for side in ranges for _, high in side]
    ends = min([0.0, *lengths]), max([0.0, *lengths, *beyond]) or 1.0
    left = 30 + 6.2 * min(_MOST_LETTERS, max(map(len, names), default=0))
    plot = _Plot(ends, (0, 1), left=left)
    parts = plot.axes(plot.x_ticks(), [], (label, ""))
    step = plot.high / max(1, len(names))
    thick = min(0.8 * step / len(series), 14)
    zero, _ = plot.at(0, 0)
    for place, name in enumerate(names):
        middle = _TOP + (place + 0.5) * step
        short = name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"
        parts.append(_text(left - 6, middle + 4, short, "end"))
        for order, (colour, (side, values)) in enumerate(zip(COLOURS, series, strict=False)):
            if not math.isfinite(values[place]):
                continue
            x, _ = plot.at(values[place], 0)
            y = middle + (order - len(series) / 2) * thick
            parts.append(
                f'<rect x="{min(x, zero):.1f}" y="{y:.1f}" width="{abs(x - zero):.1f}" '
                f'height="{thick:.1f}" fill="{colour}" fill-opacity="0.8">'
                f"<title>{_safe(name)}, {_safe(side)}: {values[place]:.4g}</title></rect>"
            )
            if ranges:
                low, high = (plot.at(end, 0)[0] for end in ranges[order][place])
                parts.append(_line(low, y + thick / 2, high, y + thick / 2, _INK))
    taken = -math.inf
    for at, text in marks:
        x, _ = plot.at(at, 0)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 12}" y2="{plot.base}" stroke="{_INK}" '
            'stroke-dasharray="4 3"/>'
        )
        # Above the bars; on the left of its line, or on the right where another one is too near.
        if x - 3 - _LETTER * len(text) > taken:
            parts.append(_text(x - 3, _TOP - 3, text, "end"))
            taken = x
        else:
            parts.append(_text(x + 3, _TOP - 3, text, "start"))
            taken = x + 3 + _LETTER * len(text)
    return _svg(parts, title, [name for name, _ in series])


def psi_rows(indexes: Sequence[tuple[str, float]], title: str) -> str:
    """Return population stability indexes by name, with marks where people take them for large."""
    values = [value for _, value in indexes]
    marks = [(mark, f"{mark:g}") for mark in (SLIGHT, LARGE) if mark <= max(SLIGHT, *values)]
    names = [name for name, _ in indexes]
    return rows(names, [("PSI", values)], title, "population stability index", marks)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from `low` to `high`: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [0.0 if place == 0 else place * step for place in range(first, last + 1)]


class _Plot:
    """Where the numbers of two axes lie in a picture."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        square: bool = False,
        left: float = _LEFT,
    ) -> None:
        self._x, self._y, self._left = x, y, left
        self.high = _HEIGHT - _TOP - _BOTTOM
        self.wide = self.high if square else _WIDTH - left - _RIGHT
        self.base = _TOP + self.high

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point."""
        (x1, x2), (y1, y2) = self._x, self._y
        across = (x - x1) / (x2 - x1) if x2 > x1 else 0.5
        up = (y - y1) / (y2 - y1) if y2 > y1 else 0.5
        return self._left + across * self.wide, self.base - up * self.high

    def x_ticks(self) -> list[tuple[float, str]]:
        """Return round numbers along the lower axis."""
        return [(tick, f"{tick:.6g}") for tick in ticks(*self._x)]

    def y_ticks(self) -> list[tuple[float, str]]:
        """Return round numbers along the left axis."""
        return [(tick, f"{tick:.6g}") for tick in ticks(*self._y)]

    def axes(
        self,
        below: Sequence[tuple[float, str]],
        beside: Sequence[tuple[float, str]],
        labels: tuple[str, str],
    ) -> list[str]:
        """Return the grid, its numbers and what they are of."""
        left, right = self._left, self._left + self.wide
        parts = []
        for position, text in below:
            x, _ = self.at(position, self._y[0])
            parts.append(_line(x, self.base, x, self.base + 4, _INK))
            parts.append(_text(x, self.base + 16, text, "middle"))
        for position, text in beside:
            _, y = self.at(self._x[0], position)
            parts.append(_line(left, y, right, y, _GRID))
            parts.append(_text(left - 6, y + 4, text, "end"))
        parts.append(_line(left, self.base, right, self.base, _INK))
        parts.append(_line(left, _TOP, left, self.base, _INK))
        parts.append(_text((left + right) / 2, _HEIGHT - 10, labels[0], "middle"))
        if labels[1]:
            middle = _TOP + self.high / 2
            parts.append(
                f'<text transform="translate(13 {middle:.1f}) rotate(-90)" text-anchor="middle">'
                f"{_safe(labels[1])}</text>"
            )
        return parts


def _safe(text: str) -> str:
    """Return text of people's files as it may stand in SVG."""
    return escape(printable(text))


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_safe(text)}</text>'


def _svg(parts: Sequence[str], title: str, names: Sequence[str]) -> str:
    legend = "".join(
        f'<tspan fill="{colour}" font-weight="bold" dx="12">{_safe(name)}</tspan>'
        for colour, name in zip(COLOURS, names, strict=False)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{_safe(title)}" font-family="sans-serif" font-size="12">'
        + "".join(parts)
        + f'<text x="{_LEFT - 12}" y="16">{legend}</text></svg>'
    )
