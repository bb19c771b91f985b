"""Small charts as SVG text: bars and lines, without a library and without a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# Colours that differ in lightness, too: they stay apart in print and for the colour-blind.
COLOURS = ("#1b5e9b", "#e07b00")
_WIDTH, _HEIGHT = 420, 220
_LEFT, _BOTTOM, _TOP = 60, 38, 10


def bars(
    series: Sequence[tuple[str, Sequence[float]]], ticks: Sequence[tuple[float, str]], title: str
) -> str:
    """Return a bar chart; bars of several series stand before each other, half transparent.

    Parameters
    ----------
    series : sequence of (name, heights)
    ticks : sequence of (position, text)
        Labels under the axis; position 0 is the left edge of the first bar, 1 that of the second.
    title : str
        For who cannot see the picture.
    """
    count = max(len(heights) for _, heights in series)
    top = max((max(heights) for _, heights in series), default=0) or 1
    step = (_WIDTH - _LEFT) / count
    high = _HEIGHT - _BOTTOM - _TOP
    parts = []
    for colour, (name, heights) in zip(COLOURS, series, strict=False):
        for place, height in enumerate(heights):
            tall = high * height / top
            if tall:
                parts.append(
                    f'<rect x="{_LEFT + place * step:.1f}" y="{_TOP + high - tall:.1f}" '
                    f'width="{step:.1f}" height="{tall:.1f}" fill="{colour}" fill-opacity="0.55">'
                    f"<title>{escape(name)}: {height:g}</title></rect>"
                )
    for position, text in ticks:
        parts.append(_below(_LEFT + position * step, text))
    parts.append(_beside(_TOP + 8, f"{top:g}"))
    return _svg(parts, title, [name for name, _ in series])


def lines(
    series: Sequence[tuple[str, Sequence[Sequence[float]]]], title: str, labels: tuple[str, str]
) -> str:
    """Return curves through points in the unit square, over its diagonal.

    Parameters
    ----------
    series : sequence of (name, points)
        Points (x, y) from 0 to 1.
    title : str
    labels : (str, str)
        What the axes are.
    """
    high, wide = _HEIGHT - _BOTTOM - _TOP, _WIDTH - _LEFT - 10

    def place(x: float, y: float) -> str:
        return f"{_LEFT + x * wide:.1f},{_TOP + (1 - y) * high:.1f}"

    parts = [f'<polyline points="{place(0, 0)} {place(1, 1)}" stroke="#bbb" fill="none"/>']
    for colour, (name, points) in zip(COLOURS, series, strict=False):
        drawn = " ".join(place(x, y) for x, y in points)
        parts.append(
            f'<polyline points="{drawn}" stroke="{colour}" stroke-width="2" fill="none">'
            f"<title>{escape(name)}</title></polyline>"
        )
    parts += [_below(_LEFT, "0"), _below(_LEFT + wide, "1"), _beside(_TOP + 8, "1")]
    parts.append(_below(_LEFT + wide / 2, labels[0]))
    parts.append(_beside(_TOP + high / 2, labels[1]))
    return _svg(parts, title, [name for name, _ in series])


def _below(x: float, text: str) -> str:
    y = _HEIGHT - _BOTTOM + 14
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _beside(y: float, text: str) -> str:
    return f'<text x="{_LEFT - 4}" y="{y:.1f}" text-anchor="end">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, names: Sequence[str]) -> str:
    base = _HEIGHT - _BOTTOM
    legend = "".join(
        f'<tspan fill="{colour}" font-weight="bold" dx="12">{escape(name)}</tspan>'
        for colour, name in zip(COLOURS, names, strict=False)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="12">'
        f'<line x1="{_LEFT}" y1="{base}" x2="{_WIDTH}" y2="{base}" stroke="#444"/>'
        f'<line x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{base}" stroke="#444"/>'
        + "".join(parts)
        + f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{legend}</text></svg>'
    )
