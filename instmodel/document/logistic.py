"""A logistic regression as a model document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from instmodel.base import values
from instmodel.base.activations import Activation
from instmodel.document.instructions import Dot
from instmodel.document.schema import InstructionModelInfo
from instmodel.errors import DocumentError, StructureError

CONSTANT = "constant"


def from_logistic_regression_model(
    coefficients: Mapping[str, float], feature_order: Sequence[str] | None = None
) -> InstructionModelInfo:
    """Make the document of ``1 / (1 + exp(-(constant + Σ coefficient · feature)))``.

    Parameters
    ----------
    coefficients : {str: float}
        Coefficient of each feature; the key ``"constant"`` is the bias, 0 by default.
    feature_order : sequence of str, optional
        Order of the inputs; must hold exactly the names of the features. By default they are
        sorted by name.

    Returns
    -------
    InstructionModelInfo
        Buffers ``[F, 1]`` and one DOT with SIGMOID.

    Raises
    ------
    InstModelError
        ``missing_features`` without any feature; ``invalid_feature_format`` for a name with
        brackets: that would be an array feature, and a coefficient belongs to one value;
        ``feature_size_mismatch`` when `feature_order` holds other names; ``invalid_type``,
        ``non_finite_value`` for what is no coefficient.
    """
    if not isinstance(coefficients, Mapping):
        raise DocumentError(
            "invalid_type",
            "not a mapping of coefficients",
            field="coefficients",
            expected="{name: coefficient}",
            actual=type(coefficients).__name__,
        )
    weights = dict(coefficients)
    bias = weights.pop(CONSTANT, 0.0)
    if not weights:
        raise StructureError("missing_features", "a logistic regression needs features")
    for name in weights:
        if not isinstance(name, str):
            raise DocumentError(
                "invalid_type",
                "the name of a feature is a string",
                field="coefficients",
                expected="str",
                actual=repr(name),
            )
        if set(name) & set("[]"):
            raise StructureError(
                "invalid_feature_format",
                "a coefficient belongs to one value, and brackets make an array feature: write "
                "each value as a name of its own, such as emb_1 for emb[1]",
                field="coefficients",
                expected="names without brackets",
                actual=repr(name),
            )
    names = sorted(weights) if feature_order is None else _order(feature_order)
    if len(names) != len(weights) or set(names) != set(weights):
        odd = sorted(set(map(str, names)) ^ set(weights))
        raise StructureError(
            "feature_size_mismatch",
            "feature_order must hold exactly the names of the coefficients, each once",
            field="feature_order",
            expected=f"{len(weights)} names",
            actual=f"{len(names)} names"
            + (f", only on one side: {', '.join(odd[:5])}" if odd else ""),
        )
    return InstructionModelInfo(
        features=names,
        buffer_sizes=[len(names), 1],
        instructions=[Dot(input=0, output=1, weights=0, activation=Activation.SIGMOID)],
        weights=[values.matrix([[weights[name] for name in names]], "coefficients")],
        bias=[values.vector([bias], CONSTANT)],
    )


def _order(feature_order: Iterable[str]) -> list[str]:
    try:
        names = list(feature_order)
        hash(tuple(names))
    except TypeError:
        raise DocumentError(
            "invalid_type",
            "not a list of names",
            field="feature_order",
            expected="names of features",
            actual=values.describe(feature_order),
        ) from None
    return names
