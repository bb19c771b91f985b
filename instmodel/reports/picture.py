"""What a page shows beside its tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG element and what it shows."""

    svg: str
    caption: str
