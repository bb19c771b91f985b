"""The pictures of a drift."""

from __future__ import annotations

from instmodel.comparison.tables import bin_name
from instmodel.monitoring.drifting import Drift
from instmodel.monitoring.summary import group_name
from instmodel.reports.charts import bars, psi_rows, rows
from instmodel.reports.picture import Picture
from instmodel.signatures.counting import FeatureCounts
from instmodel.signatures.population import SLIGHT

# Inputs with pictures, and bins and groups in one, as far as anyone would look at them.
_MOST_INPUTS, _MOST_SHARES, _MOST_BINS = 10, 8, 20
_MOST_LABELS = 4


def drift_charts(found: Drift) -> list[Picture]:
    """Return how much each input shifts, where, and when."""
    known = [item for item in found.features if item.psi is not None]
    if not known:
        return []
    title = "Inputs that shift most"
    most = [(item.name, item.psi or 0.0) for item in known[:_MOST_INPUTS]]
    charts = [Picture(psi_rows(most, title), title)]
    if found.groups:
        charts += [_over_groups(found, name) for name in (None, *_shifting(found))]
    return charts + [_shares(item) for item in known[:_MOST_SHARES]]


def _shifting(found: Drift) -> list[str]:
    """Return the inputs that shift in some group, the one that does most first."""
    most: dict[str, float] = {}
    for group in found.groups:
        for item in group.features:
            most[item.name] = max(most.get(item.name, 0.0), item.psi or 0.0)
    ordered = sorted(most, key=lambda name: -most[name])
    return [name for name in ordered if most[name] >= SLIGHT][:_MOST_SHARES]


def _over_groups(found: Drift, name: str | None) -> Picture:
    """Return the index of an input, or the largest one, in each group."""
    if name is None:
        title = f"Largest index by {found.by}"
        values = [group.largest_psi or 0.0 for group in found.groups]
    else:
        title = f"{name} by {found.by}"
        indexes = [{item.name: item.psi for item in group.features} for group in found.groups]
        values = [index[name] or 0.0 for index in indexes]
    step = -(-len(values) // _MOST_LABELS)
    ticks = [
        (place + 0.5, group_name(found.groups[place])[:10]) for place in range(0, len(values), step)
    ]
    labels = (str(found.by), "population stability index")
    return Picture(bars([("PSI", values)], ticks, title, labels), title)


def _shares(item: FeatureCounts) -> Picture:
    """Return the shares of the bins: expected, and in the data."""
    bins = item.bins
    title = f"{item.name}: share of the values, PSI {item.psi:.3g}"
    if bins[_MOST_BINS:]:
        bins = sorted(bins, key=lambda part: -part.psi)[:_MOST_BINS]
        title += f", the {_MOST_BINS} bins that shift most"
    sides = [
        ("expected", [part.old_share for part in bins]),
        ("data", [part.new_share for part in bins]),
    ]
    return Picture(rows([bin_name(part) for part in bins], sides, title, "share"), title)
