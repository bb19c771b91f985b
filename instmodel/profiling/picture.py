"""A profile as a picture: the run as one bar, cut into kinds of work, cut into instructions."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import Any

from instmodel.base import extras
from instmodel.errors import InputError
from instmodel.profiling.measure import Profile, Step

SUFFIXES = (".svg", ".png", ".pdf")

# Of the picture's width: a piece this narrow goes without a label, and what a letter needs.
_LEAST_SHARE, _LETTER = 0.02, 0.008


def draw(profile: Profile, path: str | os.PathLike[str]) -> None:
    """Write a picture; the format follows from the name, .svg, .png or .pdf.

    Needs the extra ``report``.

    Raises
    ------
    InstModelError
        ``invalid_document``: another ending; ``missing_package``.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(
            "invalid_document", "not a picture's name", file=path, expected=" or ".join(SUFFIXES)
        )
    figure = extras.require("matplotlib.figure", "report").Figure(
        figsize=(10, 3), layout="constrained"
    )
    axes = figure.subplots()
    _draw_bars(axes, profile)
    axes.set(
        xlim=(0, 1),
        yticks=[],
        xlabel=f"share of {1e9 * profile.seconds:.3g} ns a row, one thread, {profile.isa}",
    )
    axes.xaxis.set_major_formatter(
        extras.require("matplotlib.ticker", "report").PercentFormatter(1)
    )
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata=_no_date(path))


def _draw_bars(axes: Any, profile: Profile) -> None:
    """Draw the whole run, above it the kinds of its steps, above them each step."""
    whole = [("predict", profile.seconds)]
    kinds = [
        (kind, sum(step.seconds for step in steps))
        for kind, steps in groupby(profile.steps, key=lambda step: step.type)
    ]
    single = [(_label(step), step.seconds) for step in profile.steps]
    total = profile.seconds or 1.0
    colors = extras.require("matplotlib", "report").colormaps["tab20"].colors
    names = sorted({name for name, _ in kinds})
    for level, pieces in enumerate((whole, kinds, single)):
        left = 0.0
        for label, seconds in pieces:
            share = seconds / total
            kind = label.partition(" #")[0]
            color = colors[names.index(kind) % len(colors)] if kind in names else "lightgray"
            axes.barh(level, share, left=left, color=color, edgecolor="white", height=0.95)
            if share > _LEAST_SHARE:
                shown = label if share > _LETTER * len(label) else "".join(label.partition("#")[1:])
                axes.text(left + share / 2, level, shown, ha="center", va="center", fontsize=7)
            left += share


def _label(step: Step) -> str:
    return step.type if step.index is None else f"{step.type} #{step.index}"


def _no_date(path: str | os.PathLike[str]) -> dict[str, None]:
    """Keep two pictures of the same profile the same."""
    return {"Date": None} if Path(path).suffix.lower() == ".svg" else {}
