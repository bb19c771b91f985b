"""A profile as a picture: the run as one bar cut into steps, and the steps that take longest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instmodel.base import extras
from instmodel.errors import InputError
from instmodel.profiling.measure import Profile, Step
from instmodel.stores import location

SUFFIXES = (".svg", ".png", ".pdf")

# Steps with a bar of their own; the others share one.
_MOST_STEPS = 20
# Of the width: a narrower block of the run has no number.
_LEAST_SHARE = 0.025
_OTHERS = "#bbbbbb"


def draw(profile: Profile, path: str | os.PathLike[str]) -> None:
    """Write a picture; the format follows from the name, .svg, .png or .pdf.

    Needs the extra ``report``.

    Raises
    ------
    InstModelError
        ``invalid_document``: another ending; ``missing_package``.
    """
    ending = Path(path).suffix.lower()
    if ending not in SUFFIXES:
        raise InputError(
            "invalid_document", "not a picture's name", file=path, expected=" or ".join(SUFFIXES)
        )
    listed = sorted(profile.steps, key=lambda step: -step.seconds)[:_MOST_STEPS]
    figure = extras.require("matplotlib.figure", "report").Figure(
        figsize=(10, 2.4 + 0.27 * (len(listed) + 1)), layout="constrained"
    )
    run, longest = figure.subplots(2, 1, height_ratios=(1, 0.3 * len(listed) + 0.8))
    colors = extras.require("matplotlib", "report").colormaps["tab20"].colors
    kinds = {kind: colors[i % len(colors)] for i, kind in enumerate(_by_time(profile))}
    _draw_run(run, profile, kinds)
    _draw_longest(longest, profile, listed, kinds)
    for axes in (run, longest):
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
    figure.suptitle(f"{1e9 * profile.seconds:.3g} ns a row, one thread, {profile.isa}")
    # Two pictures of one profile are the same: without a date.
    metadata = {"Date": None} if ending == ".svg" else {}
    with location(path).replacing() as file:
        figure.savefig(file, format=ending[1:], metadata=metadata)


def _by_time(profile: Profile) -> dict[str, float]:
    """Return the seconds of each kind of step, the longest first."""
    seconds: dict[str, float] = {}
    for step in profile.steps:
        seconds[step.type] = seconds.get(step.type, 0.0) + step.seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _draw_run(axes: Any, profile: Profile, kinds: Mapping[str, Any]) -> None:
    """Draw the steps in the order of the run, side by side, and what their colours mean."""
    total = profile.seconds or 1.0
    left = 0.0
    for step in profile.steps:
        share = step.seconds / total
        axes.barh(0, share, left=left, color=kinds[step.type], edgecolor="white", height=0.9)
        if step.index is not None and share > _LEAST_SHARE:
            axes.text(left + share / 2, 0, step.index, ha="center", va="center", fontsize=9)
        left += share
    axes.set(xlim=(0, 1), yticks=[], title="the run, and the numbers of its instructions")
    axes.xaxis.set_major_formatter(_percent())
    patches = extras.require("matplotlib.patches", "report")
    axes.figure.legend(
        handles=[
            patches.Patch(color=kinds[kind], label=f"{kind} {seconds / total:.1%}")
            for kind, seconds in _by_time(profile).items()
        ],
        loc="outside lower center",
        ncols=4,
        fontsize=8,
        frameon=False,
    )


def _draw_longest(
    axes: Any, profile: Profile, listed: list[Step], kinds: Mapping[str, Any]
) -> None:
    """Draw a bar for each of the steps that take longest, and one for the others."""
    total = profile.seconds or 1.0
    bars = [(_label(step), step.seconds, kinds[step.type]) for step in listed]
    others = len(profile.steps) - len(listed)
    if others:
        rest = sum(step.seconds for step in profile.steps) - sum(step.seconds for step in listed)
        bars.append((f"{others} others", rest, _OTHERS))
    names, seconds, colors = zip(*bars, strict=True)
    shares = [part / total for part in seconds]
    drawn = axes.barh(range(len(bars)), shares, color=colors)
    told = [f"{1e9 * part:.3g} ns, {part / total:.1%}" for part in seconds]
    axes.bar_label(drawn, told, padding=3, fontsize=8)
    axes.set(xlim=(0, 1.15 * max(shares)), title="what takes longest", ylim=(len(bars) - 0.4, -0.6))
    axes.set_yticks(range(len(bars)), names, fontsize=9)
    axes.xaxis.set_major_formatter(_percent())


def _percent() -> Any:
    return extras.require("matplotlib.ticker", "report").PercentFormatter(1)


def _label(step: Step) -> str:
    return step.type if step.index is None else f"{step.index} {step.type}"
