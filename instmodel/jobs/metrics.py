"""What a job counts, and the Prometheus text format of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_HELP = {
    "rows_total": ("counter", "Rows read."),
    "bad_rows_total": ("counter", "Rows that could not be scored."),
    "stage_seconds_total": ("counter", "Seconds spent in each stage; stages overlap."),
    "seconds": ("gauge", "Seconds from start to end."),
    "batch_seconds": ("summary", "Seconds to score a batch."),
    "threads": ("gauge", "Scoring threads."),
    "model_info": ("gauge", "The model that scored."),
}


@dataclass
class Metrics:
    """Counts and times of a job.

    Attributes
    ----------
    rows, bad_rows : int
    read, score, write : float
        Seconds. The stages overlap, so they may add up to more than `seconds`.
    seconds : float
        From start to end.
    batches : list of float
        Seconds to score each batch.
    threads : int
    digest : str
        Of the model.
    """

    rows: int = 0
    bad_rows: int = 0
    read: float = 0.0
    score: float = 0.0
    write: float = 0.0
    seconds: float = 0.0
    batches: list[float] = field(default_factory=list)
    threads: int = 0
    digest: str = ""

    def add_read(self, seconds: float) -> None:
        """Add time spent reading."""
        self.read += seconds

    def text(self) -> str:
        """Return the Prometheus text format."""
        samples: list[tuple[str, str, float]] = [
            ("rows_total", "", self.rows),
            ("bad_rows_total", "", self.bad_rows),
            *(
                ("stage_seconds_total", f'{{stage="{stage}"}}', getattr(self, stage))
                for stage in ("read", "score", "write")
            ),
            ("seconds", "", self.seconds),
            *(
                ("batch_seconds", f'{{quantile="{q}"}}', quantile(self.batches, q))
                for q in (0.5, 0.9, 0.99)
            ),
            ("batch_seconds_sum", "", sum(self.batches)),
            ("batch_seconds_count", "", len(self.batches)),
            ("threads", "", self.threads),
            ("model_info", f'{{digest="{self.digest}"}}', 1),
        ]
        lines = []
        told = set()
        for name, labels, value in samples:
            family = name if name in _HELP else name.rpartition("_")[0]
            if family not in told:
                told.add(family)
                kind, text = _HELP[family]
                lines.append(f"# HELP instmodel_{family} {text}")
                lines.append(f"# TYPE instmodel_{family} {kind}")
            shown = str(value) if isinstance(value, int) else f"{value:.6g}".replace("nan", "NaN")
            lines.append(f"instmodel_{name}{labels} {shown}")
        return "\n".join(lines) + "\n"


def quantile(values: list[float], q: float) -> float:
    """Return the smallest value that is not below a part `q` of all; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
