"""What a person is told of inputs that a model does not expect."""

from __future__ import annotations

from collections.abc import Callable

from instmodel.signatures.counting import FeatureCounts, InputCounts
from instmodel.signatures.population import FEW_ROWS, SLIGHT

# Features that a sentence names.
_NAMED = 5


def input_notes(found: InputCounts) -> list[str]:
    """Return sentences about what was not expected; none if all was."""
    notes = [
        _note(found, "values out of range", lambda item: item.out_of_range),
        _note(found, "unknown codes or texts", lambda item: item.unknown),
        _note(found, "nulls that are never expected", lambda item: item.unexpected_nulls),
        _note(
            found,
            f"population stability index of {SLIGHT:g} or more",
            lambda item: _shift(item, found.rows),
        ),
    ]
    return [note for note in notes if note]


def _shift(item: FeatureCounts, rows: int) -> float:
    """Return the index where it says something: of few rows, chance alone makes it large."""
    return item.psi if rows >= FEW_ROWS and item.psi is not None and item.psi >= SLIGHT else 0


def _note(found: InputCounts, what: str, figure: Callable[[FeatureCounts], float]) -> str | None:
    figures = [(figure(item), item.name) for item in found.features if figure(item)]
    if not figures:
        return None
    figures.sort(key=lambda pair: -pair[0])
    named = ", ".join(f"{name} {value:.6g}" for value, name in figures[:_NAMED])
    more = f", and {len(figures) - _NAMED} more" if figures[_NAMED:] else ""
    return f"{what}: {named}{more}"
