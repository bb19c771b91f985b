"""Score the example data with the example models; both come along in the package."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from instmodel.base.features import parse_feature_names
from instmodel.document.schema import InstructionModelInfo
from instmodel.model import InstructionModel
from instmodel.tables.columns import column_names
from instmodel.tables.numpy_files import open_reader

Floats = NDArray[np.float32]

# (model, data), files in instmodel/examples
DEMOS = (
    ("breast_cancer_logistic", "breast_cancer"),
    ("breast_cancer_network", "breast_cancer"),
    ("digits_softmax", "digits"),
)
# Small tables are scored again and again for so long, to measure the rate.
_SECONDS = 0.2


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What one model did.

    Attributes
    ----------
    name : str
        The model.
    scores : float32 array, (rows, outputs)
    accuracy, held_out_accuracy : float
        Share of right answers: of all rows, and of the rows that training did not see.
    largest_error : float
        Over the model's validation data.
    rows_per_second : float
    """

    name: str
    scores: Floats
    accuracy: float
    held_out_accuracy: float
    largest_error: float
    rows_per_second: float

    def some_scores(self) -> str:
        """Return the scores of three rows: the probability, or the likeliest class."""
        rows = self.scores[[len(self.scores) // 8 * i for i in (1, 2, 3)]]
        if rows.shape[1] == 1:
            return " ".join(f"{row[0]:.2f}" for row in rows)
        return " ".join(str(row.argmax()) for row in rows)


def run_demos() -> Iterator[DemoResult]:
    """Verify and run every example model."""
    for name, data in DEMOS:
        yield _run(name, data)


def _run(name: str, data: str) -> DemoResult:
    folder = files("instmodel") / "examples"
    with as_file(folder / f"{name}.json") as path:
        info = InstructionModelInfo.load(path)
    columns = column_names(parse_feature_names(info.features or []))
    with as_file(folder / f"{data}.csv") as path:
        reader = open_reader(path, [*columns, "target"], len(columns) + 1)
        try:
            table = np.concatenate(list(reader.batches()))
        finally:
            reader.close()
    rows, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1]

    model = InstructionModel(info)
    cases = info.validation_data
    assert cases is not None
    scores = np.asarray(model.predict_parallel(rows))
    classes = scores.argmax(1) if model.output_size > 1 else scores[:, 0] > 0.5
    right = classes == labels
    held_out = np.arange(len(right)) % 4 == 3  # see examples/train_models.py
    return DemoResult(
        name,
        scores,
        float(right.mean()),
        float(right[held_out].mean()),
        model.validate(cases.inputs, cases.expected_outputs),
        _rate(model, rows),
    )


def _rate(model: InstructionModel, rows: Floats) -> float:
    """Return rows per second."""
    passes, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS or not passes:
        model.predict_parallel(rows)
        passes += 1
    return passes * len(rows) / elapsed
