"""A model as MLflow's servers and Spark functions run it: a ``predict`` of tables and matrices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from instmodel.base import arguments
from instmodel.base.extras import require
from instmodel.compiled.parallel import PredictConfig
from instmodel.errors import InstModelError
from instmodel.model import InstructionModel
from instmodel.tables.binding import null_rule

# What a caller may say beside the data, and what it is when nobody says anything.
DEFAULTS: dict[str, Any] = {"nulls": "error", "on_bad_row": "error", "threads": None}


def load(path: str, model_config: Mapping[str, Any] | None = None) -> Predictor:
    """Load a model; `mlflow.pyfunc.load_model` calls it.

    Parameters
    ----------
    path : str
        The file of the model, in the folder ``data`` of the folder that MLflow fetched.
    model_config : mapping, optional
        What takes the place of `DEFAULTS`.
    """
    return Predictor(InstructionModel.load(Path(path).parent.parent), model_config or {})


class Predictor:
    """What `mlflow.pyfunc.PyFuncModel` wraps.

    Parameters
    ----------
    model : InstructionModel
    config : mapping
        What takes the place of `DEFAULTS`.
    """

    def __init__(self, model: InstructionModel, config: Mapping[str, Any]) -> None:
        self._model = model
        self._defaults = DEFAULTS | dict(config)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Compute the outputs of every row.

        Parameters
        ----------
        data : pandas.DataFrame, other table, or matrix of N rows
            Columns are found by name as in `InstructionModel.predict_table`; a matrix is for
            models whose features have no names.
        params : mapping, optional
            ``nulls``: ``"error"``, ``"nan"`` or a number, what a null becomes. ``on_bad_row``:
            ``"error"``, or ``"null"``, with which rows that cannot be scored get NaN. ``threads``:
            how many score; by default every CPU.

        Returns
        -------
        pandas.DataFrame or ndarray of float32, shape (N, O)
            A frame for a frame, with its index.

        Raises
        ------
        mlflow.exceptions.MlflowException
            What is wrong with the data, which a server answers with status 400.
        """
        said = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            return self._predict(data, **self._defaults | said)
        except InstModelError as error:
            refused = require("mlflow.exceptions", "mlflow").MlflowException
            raise refused.invalid_parameter_value(str(error)) from error

    def _predict(self, data: Any, nulls: Any, on_bad_row: Any, threads: int | None) -> Any:
        # Callers count on a score for each row.
        arguments.choice(on_bad_row, "on_bad_row", ("error", "null"))
        if isinstance(data, np.ndarray) and data.dtype.names is None:
            return np.asarray(self._model.predict_parallel(data, PredictConfig(threads=threads)))
        rule = null_rule(str(nulls))
        if not isinstance(data, require("pandas", "mlflow").DataFrame):
            return self._model.predict_table(data, rule, threads=threads)
        scores = self._model.predict_table(
            data, rule, threads=threads, as_table=True, on_bad_row=on_bad_row
        )
        return scores.astype(np.float32)  # pandas's own type, for nulls, is unknown to MLflow

    def get_raw_model(self) -> InstructionModel:
        """Return the model itself."""
        return self._model
