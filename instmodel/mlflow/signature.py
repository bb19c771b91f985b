"""What MLflow calls a signature: the columns that go into a model, and those that come out."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.base.extras import require
from instmodel.base.features import Feature
from instmodel.model import InstructionModel
from instmodel.tables.batches import checked_outputs


def signature_of(model: InstructionModel, example: Any = None) -> Any:
    """Return the signature of a model.

    Parameters
    ----------
    model : InstructionModel
    example : pandas.DataFrame or ndarray, optional
        Inputs as they will come. MLflow refuses integers of 64 bits where it was told of floats,
        and floats where it was told of integers: so a column of integers here is one there, and a
        matrix has the type that it has here.

    Returns
    -------
    mlflow.models.ModelSignature
        Of a model that names its features, a column for each: ``double``; ``long`` for keys of
        maps; ``string`` for those with text categories; an array for array features. Of another,
        a matrix. The outputs are called as in jobs: ``score``, or ``output_0`` …

    Raises
    ------
    InstModelError
        ``missing_package``.
    """
    models = require("mlflow.models", "mlflow")
    types = require("mlflow.types.schema", "mlflow")
    if model.features:
        inputs = [_column(types, *item, example) for item in _features(model)]
        names = checked_outputs(None, model.output_size, ())
        outputs = [types.ColSpec(types.DataType.float, name) for name in names]
    else:
        kind = example.dtype if isinstance(example, np.ndarray) else np.dtype(np.float64)
        inputs = [types.TensorSpec(kind, (-1, model.feature_size))]
        outputs = [types.TensorSpec(np.dtype(np.float32), (-1, model.output_size))]
    # None is what the model's configuration says.
    params = [types.ParamSpec("nulls", "string", None), types.ParamSpec("threads", "integer", None)]
    return models.ModelSignature(
        types.Schema(inputs), types.Schema(outputs), types.ParamSchema(params)
    )


def _features(model: InstructionModel) -> list[tuple[Feature, bool]]:
    """Return the features, and whether each is looked up in a map as it comes."""
    keys = set(model.key_inputs)
    found = []
    start = 0
    for feature in model.named_features:
        found.append((feature, not keys.isdisjoint(range(start, start + feature.size))))
        start += feature.size
    return found


def _column(types: Any, feature: Feature, is_key: bool, example: Any) -> Any:
    kinds = types.DataType
    if feature.is_array:
        # Of a list of doubles, MLflow refuses [1, 2], which is how JSON may write it.
        return types.ColSpec(types.Array(types.AnyType()), feature.name)
    if feature.categories is not None:
        return types.ColSpec(kinds.string, feature.name)
    shown = getattr(example[feature.name], "dtype", None) if _has(example, feature.name) else None
    if shown is not None:
        is_key = shown.kind in "iu"
    return types.ColSpec(kinds.long if is_key else kinds.double, feature.name)


def _has(example: Any, name: str) -> bool:
    return hasattr(example, "columns") and name in example.columns
