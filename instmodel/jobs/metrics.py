"""What a job counts, and the Prometheus text format of it.

A file of metrics lives longer than a run: what is counted goes on where the file of the run before
ended, and a run that fails says so there.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from instmodel.base import arguments
from instmodel.base.values import describe
from instmodel.errors import InputError
from instmodel.signatures.counting import Tally
from instmodel.stores import location

_HELP = {
    "runs_total": ("counter", "Runs, by how they ended."),
    "rows_total": ("counter", "Rows read."),
    "bad_rows_total": ("counter", "Rows that could not be scored."),
    "bad_rows_by_reason_total": ("counter", "The same, by the code of what was wrong."),
    "stage_seconds_total": ("counter", "Seconds spent in each stage; stages overlap."),
    "seconds": ("gauge", "Seconds from start to end of the last run."),
    "last_run_rows": ("gauge", "Rows that the last run read."),
    "last_run_bad_rows": ("gauge", "Rows of the last run that could not be scored."),
    "last_run_parts": ("gauge", "Files of the output that the last run scored, reused, removed."),
    "last_added_rows": ("gauge", "Rows that the last run added which added any."),
    "last_added_bad_rows": ("gauge", "Those of them that could not be scored."),
    "output_rows": ("gauge", "Rows of all files that the output is of."),
    "output_bad_rows": ("gauge", "Those of them that could not be scored."),
    "output_parts": ("gauge", "Files of the output."),
    "last_run_success": ("gauge", "Whether the last run succeeded: 1 or 0."),
    "last_run_timestamp_seconds": ("gauge", "When the last run ended, Unix time."),
    "last_success_timestamp_seconds": ("gauge", "When the last run that succeeded ended."),
    "batch_seconds": ("summary", "Seconds to score a batch; quantiles of the last run."),
    "threads": ("gauge", "Scoring threads."),
    "input_values": ("gauge", "Values of each feature with a signature, of the last run."),
    "input_out_of_range": ("gauge", "Those outside of the range of the model's signature."),
    "input_null": ("gauge", "Those that were null."),
    "input_unknown": ("gauge", "Those that are no known code or category."),
    "input_psi": ("gauge", "Population stability index of each feature against its signature."),
    "model_info": ("gauge", "The model that scored."),
}
# What is told of each feature: the sample, and the figure of `FeatureCounts`.
_OF_INPUTS = {
    "input_values": "values",
    "input_out_of_range": "out_of_range",
    "input_null": "nulls",
    "input_unknown": "unknown",
    "input_psi": "psi",
}
# What goes on counting, and what is as it was when a run fails.
_COUNTED = re.compile(r"instmodel_(\w+_total|batch_seconds_(sum|count))\b")
_STAYS = re.compile(r"instmodel_(output_\w+|last_success_timestamp_seconds)\b")
# What is as it was when a run had nothing to score, or added nothing.
_OF_SCORED = re.compile(r"instmodel_input_\w+\b")
_OF_ADDED = re.compile(r"instmodel_last_added_\w+\b")
_REASON = re.compile(r'instmodel_bad_rows_by_reason_total{.*reason="(\w+)"}')
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_LABELS = ("result", "stage", "quantile", "feature", "digest", "version", "reason", "how")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels that Prometheus would, and those that the samples have anyway.

    Raises
    ------
    InputError
        ``invalid_type``
    """
    if not isinstance(labels, Mapping):
        raise arguments.wrong_type(labels, "metrics_labels", "a mapping of names to texts")
    for name, value in labels.items():
        fits = isinstance(name, str) and _LABEL.fullmatch(name) and name not in _OWN_LABELS
        if not fits or not isinstance(value, str):
            raise InputError(
                "invalid_type",
                "no such label",
                field="metrics_labels",
                expected=f"a name of letters, digits and _, none of {', '.join(_OWN_LABELS)}, "
                "and a text",
                actual=f"{describe(name)}={describe(value)}",
            )


@dataclass
class Metrics:
    """Counts and times of a run.

    Attributes
    ----------
    rows, bad_rows : int
    reasons : Counter of str
        The bad rows by the code of what was wrong.
    parts : Counter of str
        Files of the output that were ``scored``, ``reused``, ``removed``.
    added_rows, added_bad_rows : int
        What the output has now and had not before.
    output_rows, output_bad_rows, output_parts : int
        Of the whole output, also what earlier runs did.
    read, score, write : float
        Seconds. The stages overlap, so they may add up to more than `seconds`.
    seconds : float
        From start to end.
    batches : list of float
        Seconds to score each batch.
    threads : int
    digest : str
        Of the model; empty if none could be loaded.
    version : str or None
        Of the model, if anybody knows.
    inputs : Tally or None
        What counts the rows against the model's signature.
    """

    rows: int = 0
    bad_rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    added_rows: int = 0
    added_bad_rows: int = 0
    output_rows: int = 0
    output_bad_rows: int = 0
    output_parts: int = 0
    read: float = 0.0
    score: float = 0.0
    write: float = 0.0
    seconds: float = 0.0
    batches: list[float] = field(default_factory=list)
    threads: int = 0
    digest: str = ""
    version: str | None = None
    inputs: Tally | None = None

    @contextlib.contextmanager
    def counting_apart(self) -> Iterator[Tally | None]:
        """Count inputs in a tally of its own, which is added at the end; None if none are."""
        whole = self.inputs
        if whole is None:
            yield None
            return
        self.inputs = whole.fresh()
        try:
            yield self.inputs
        finally:
            whole.add(self.inputs)
            self.inputs = whole

    def add_read(self, seconds: float) -> None:
        """Add time spent reading."""
        self.read += seconds

    def save(
        self, path: str | os.PathLike[str], labels: Mapping[str, str], succeeded: bool
    ) -> None:
        """Write a file, going on from what it counted before.

        Parameters
        ----------
        path : path-like
        labels : mapping of str to str
            Of every sample. Without ``job_name``, that is the name of the file without its ending:
            the files that a collector finds in one folder have different ones.
        succeeded : bool
            How the run ended.
        """
        place = location(path)
        labels = {"job_name": PurePath(place.name).stem, **labels}
        before: dict[str, float] = {}
        with place.taking_turns():
            # Only what is not there, or is no such file, begins anew.
            with contextlib.suppress(FileNotFoundError, ValueError):
                before = _samples(place.read_bytes().decode())
            with place.replacing() as file:
                file.write(self.text(labels, succeeded, time.time(), before).encode())

    def text(
        self,
        labels: Mapping[str, str],
        succeeded: bool,
        now: float,
        before: Mapping[str, float] | None = None,
    ) -> str:
        """Return the Prometheus text format; `before` holds the samples of an earlier one."""
        before = before or {}
        known = {} if self.version is None else {"version": self.version}
        results = {"ok": int(succeeded), "error": int(not succeeded)}
        reasons = {*self.reasons, *(match[1] for match in map(_REASON.match, before) if match)}
        samples: list[tuple[str, dict[str, str], float]] = [
            *(("runs_total", {"result": result}, count) for result, count in results.items()),
            ("rows_total", {}, self.rows),
            ("bad_rows_total", {}, self.bad_rows),
            *(
                ("bad_rows_by_reason_total", {"reason": reason}, self.reasons[reason])
                for reason in sorted(reasons)
            ),
            *(
                ("stage_seconds_total", {"stage": stage}, getattr(self, stage))
                for stage in ("read", "score", "write")
            ),
            ("seconds", {}, self.seconds),
            ("last_run_rows", {}, self.rows),
            ("last_run_bad_rows", {}, self.bad_rows),
            *(
                ("last_run_parts", {"how": how}, self.parts[how])
                for how in ("scored", "reused", "removed")
            ),
            ("last_added_rows", {}, self.added_rows or math.nan),
            ("last_added_bad_rows", {}, self.added_bad_rows if self.added_rows else math.nan),
            ("output_rows", {}, self.output_rows if succeeded else math.nan),
            ("output_bad_rows", {}, self.output_bad_rows if succeeded else math.nan),
            ("output_parts", {}, self.output_parts if succeeded else math.nan),
            ("last_run_success", {}, int(succeeded)),
            ("last_run_timestamp_seconds", {}, now),
            ("last_success_timestamp_seconds", {}, now if succeeded else math.nan),
            *(
                ("batch_seconds", {"quantile": str(q)}, quantile(self.batches, q))
                for q in (0.5, 0.9, 0.99)
            ),
            ("batch_seconds_sum", {}, sum(self.batches)),
            ("batch_seconds_count", {}, len(self.batches)),
            ("threads", {}, self.threads),
            *self._input_samples(),
        ]
        if self.digest:
            samples.append(("model_info", {"digest": self.digest} | known, 1))
        idle = self.inputs is not None and not self.inputs.rows
        lines = []
        told = set()
        for name, own, value in samples:
            family = name if name in _HELP else name.rpartition("_")[0]
            if family not in told:
                told.add(family)
                kind, text = _HELP[family]
                lines.append(f"# HELP instmodel_{family} {text}")
                lines.append(f"# TYPE instmodel_{family} {kind}")
            pairs = [
                f'{key}="{text.translate(_ESCAPES)}"' for key, text in {**labels, **own}.items()
            ]
            sample = f"instmodel_{name}" + (f"{{{','.join(pairs)}}}" if pairs else "")
            if _COUNTED.match(sample):
                value += before.get(sample, 0)
            elif _STAYS.match(sample) and not succeeded:
                value = before.get(sample, math.nan)
            elif (idle and _OF_SCORED.match(sample)) or (
                not self.added_rows and _OF_ADDED.match(sample)
            ):
                value = before.get(sample, value)
            lines.append(f"{sample} {_number(value)}")
        return "\n".join(lines) + "\n"

    def _input_samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        features = [] if self.inputs is None else self.inputs.found().features
        for name, figure in _OF_INPUTS.items():
            for feature in features:
                value = getattr(feature, figure)
                yield name, {"feature": feature.name}, math.nan if value is None else value


def _number(value: float) -> str:
    if not math.isfinite(value):  # infinite only where somebody wrote that into the file before
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(round(value, 9))


def _samples(text: str) -> dict[str, float]:
    """Return the values of a file of metrics by name and labels, as they are written there."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {sample: float(value) for sample, _, value in lines}


def quantile(values: list[float], q: float) -> float:
    """Return the smallest value that is not below a part `q` of all; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
