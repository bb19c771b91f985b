"""Plots of a run: throughput against batch size, latency, and all networks at a glance."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from perf.measure import OURS
from perf.peers import PEERS
from perf.results import NetworkResults, in_threads
from perf.timing import QUANTILES

_COLOURS = {
    "instmodel": "#d1242f",
    "numpy": "#8250df",
    "onnxruntime": "#0969da",
    "torch": "#bc4c00",
    "openvino": "#1a7f37",
    "sklearn": "#9a6700",
}


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw everything that was measured; return the files."""
    mpl.use("Agg")
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
    isa, many = results["runtime"]["isa"], results["threads"]
    networks = {name: NetworkResults(r, isa) for name, r in results["networks"].items()}
    files = [folder / f"throughput-{name}.png" for name in networks]
    for path, (name, network) in zip(files, networks.items(), strict=True):
        _throughput(name, network, sorted({1, many}), path)
    files += [folder / "latency.png", folder / "summary.png"]
    _latency(networks, files[-2])
    _summary(networks, many, files[-1])
    return files


def _throughput(name: str, network: NetworkResults, threads: list[int], path: Path) -> None:
    figure, axes = plt.subplots(
        1, len(threads), figsize=(4.5 * len(threads) + 1.5, 3.6), sharey=True, squeeze=False
    )
    for ax, number in zip(axes[0], threads, strict=True):
        for peer in PEERS:
            curve = network.measured["curves"].get(f"{peer}-{number}")
            if curve:
                sizes, rates = zip(*((size, median(rates)) for size, rates in curve), strict=True)
                ax.plot(sizes, rates, "o-", **_style(peer))
        kind, limit = network.limit(number)
        if limit is not None:
            label = "the measured FMA peak" if kind == "FMA" else "the measured read bandwidth"
            ax.axhline(median(limit), color="black", ls="--", lw=1, label=label)
        ax.set(xscale="log", yscale="log", xlabel="rows in a batch", title=in_threads(number))
        ax.grid(alpha=0.25)
    axes[0][0].set_ylabel("rows per second")
    axes[0][-1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(name)
    _save(figure, path)


def _latency(networks: dict[str, NetworkResults], path: Path) -> None:
    columns = min(3, len(networks))
    lines = -(-len(networks) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(3.8 * columns, 3 * lines), squeeze=False)
    for ax in axes.flat[len(networks) :]:
        ax.set_visible(False)
    for ax, (name, network) in zip(axes.flat, networks.items(), strict=False):
        for peer in PEERS:
            key = network.quickest(peer)
            if key:
                rounds = network.measured["latency_seconds"][key]
                ax.plot(1e6 * np.median(rounds, axis=0), 100 * QUANTILES, **_style(peer))
        ax.set(xscale="log", xlabel="µs for one row", ylabel="% of calls at most", title=name)
        ax.grid(alpha=0.25)
    axes[0][0].legend(fontsize=8, frameon=False)
    _save(figure, path)


def _summary(networks: dict[str, NetworkResults], threads: int, path: Path) -> None:
    """Every contender as a share of the limit."""
    figure, ax = plt.subplots(figsize=(10, 3.6))
    width = 0.8 / len(PEERS)
    for number, peer in enumerate(PEERS):
        shares = [n.share_of_limit(f"{peer}-{threads}", threads) or 0 for n in networks.values()]
        places = np.arange(len(networks)) + (number - (len(PEERS) - 1) / 2) * width
        style = _style(peer)
        ax.bar(places, shares, width, color=style["color"], label=style["label"])
    ax.set_xticks(range(len(networks)), list(networks))
    ax.set(ylabel="share of the measured limit", title=f"Batches on {in_threads(threads)}")
    ax.grid(axis="y", alpha=0.25)
    ax.legend(fontsize=8, frameon=False, ncols=2)
    _save(figure, path)


def _style(peer: str) -> dict[str, Any]:
    ours = peer == OURS
    return {
        "color": _COLOURS[peer],
        "label": PEERS[peer].NAME,
        "lw": 2.2 if ours else 1.2,
        "ms": 4 if ours else 3,
        "zorder": 3 if ours else 2,
    }


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
