"""What MLflow calls a signature: the columns that go into a model, and those that come out."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.base.extras import require
from instmodel.base.features import Feature
from instmodel.model import InstructionModel
from instmodel.tables.columns import output_names


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
        maps, and for codes without nulls if the document has a signature; ``string`` for those with
        text categories; an array for array features. Of another, a matrix. The outputs are called
        as in jobs: ``score``, or ``output_0`` …

    Raises
    ------
    InstModelError
        ``missing_package``.
    """
    models = require("mlflow.models", "mlflow")
    types = require("mlflow.types.schema", "mlflow")
    if model.features:
        integers = _integers(model, example)
        inputs = [_column(types, item, item.name in integers) for item in model.named_features]
        names = output_names(model.output_size)
        outputs = [types.ColSpec(types.DataType.float, name) for name in names]
    else:
        kind = example.dtype if isinstance(example, np.ndarray) else np.dtype(np.float64)
        inputs = [types.TensorSpec(kind, (-1, model.feature_size))]
        outputs = [types.TensorSpec(np.dtype(np.float32), (-1, model.output_size))]
    # None is what the model's configuration says.
    kinds = {"nulls": "string", "on_bad_row": "string", "threads": "integer"}
    params = [types.ParamSpec(name, kind, None) for name, kind in kinds.items()]
    return models.ModelSignature(
        types.Schema(inputs), types.Schema(outputs), types.ParamSchema(params)
    )


def _integers(model: InstructionModel, example: Any) -> set[str]:
    """Return the features that are whole numbers: as the example has them, or as the model says."""
    keys = set(model.key_inputs)
    expected = model.structure.signature
    found = set()
    start = 0
    for feature in model.named_features:
        own = set(range(start, start + feature.size))
        start += feature.size
        known = expected.features.get(feature.name) if expected is not None else None
        if hasattr(example, "columns") and feature.name in example.columns:
            whole = getattr(example[feature.name].dtype, "kind", "") in "iu"
        elif known is not None:
            whole = known.kind == "code" and known.nulls == "never"
        else:
            whole = not keys.isdisjoint(own)
        if whole:
            found.add(feature.name)
    return found


def _column(types: Any, feature: Feature, is_integer: bool) -> Any:
    kind = types.DataType.long if is_integer else types.DataType.double
    if feature.is_array:
        # Of a list of doubles, MLflow refuses [1, 2], which is how JSON may write it.
        kind = types.Array(types.AnyType())
    elif feature.categories is not None:
        kind = types.DataType.string
    return types.ColSpec(kind, feature.name)
