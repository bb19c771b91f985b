"""What the operators of the domain ai.onnx.ml do, as expressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Unsupported, Value
from instmodel.importers.keys import exact_keys, rounded_keys, to_integers
from instmodel.importers.onnx_context import Node
from instmodel.importers.onnx_norms import normalizer
from instmodel.importers.onnx_ops import Handler
from instmodel.importers.operands import Operand
from instmodel.importers.sklearn_kernels import weighted


def _floats(node: Node, name: str) -> Any:
    if name not in node.attributes:
        raise Unsupported(f"the attribute {name} is missing")
    return np.asarray(node.attributes[name], np.float64)


def _linear(node: Node, rows: int) -> Value:
    x = node.value(0)
    weights = _floats(node, "coefficients").reshape(rows, -1)
    bias = node.attributes.get("intercepts")
    return ex.dense(x, weights, None if bias is None else np.asarray(bias, np.float64))


def _post_transform(node: Node, scores: Value) -> Value:
    name = node.attributes.get("post_transform", b"NONE").decode()
    if name == "NONE":
        return scores
    if name == "LOGISTIC":
        return ex.activation(scores, "SIGMOID")
    if name == "SOFTMAX":
        return node.note(ex.softmax(scores), "shares")
    raise Unsupported(f"post_transform {name}")


def _linear_regressor(node: Node) -> Operand:
    return _post_transform(node, _linear(node, int(node.attributes.get("targets", 1))))


def _linear_classifier(node: Node) -> list[Operand]:
    labels = node.attributes.get("classlabels_ints") or node.attributes.get("classlabels_strings")
    if not labels:
        raise Unsupported("no class labels")
    bias = node.attributes.get("intercepts")
    rows = len(bias) if bias is not None else len(labels)
    scores = _linear(node, rows)
    if rows == 1 and len(labels) == 2:
        scores = _both_classes(node, scores)
    else:
        scores = _post_transform(node, scores)
    return [_labels(scores), scores]


def _both_classes(node: Node, score: Value) -> Value:
    """Return the pair that ONNX makes of the score of two classes."""
    name = node.attributes.get("post_transform", b"NONE").decode()
    if name == "LOGISTIC":
        positive = ex.activation(score, "SIGMOID")
        both = ex.concatenate([ex.activation(positive, "INVERSE"), positive])
        return node.note(both, "shares")
    if name == "NONE":
        return ex.concatenate([ex.multiply(score, ex.constant(-1.0)), score])
    raise Unsupported(f"post_transform {name} of one score")


def _labels(scores: Value) -> Value:
    return ex.opaque((), [scores], "the labels of a classifier; import its scores")


def _scaler(node: Node) -> Operand:
    shifted = ex.subtract(node.value(0), ex.constant(_floats(node, "offset")))
    return ex.multiply(shifted, ex.constant(_floats(node, "scale")))


def _imputer(node: Node) -> Operand:
    x = node.value(0)
    missing = node.attributes.get(
        "replaced_value_float", node.attributes.get("replaced_value_int64")
    )
    if missing is None or not np.isnan(missing):
        raise Unsupported(f"the replacement of {missing}")
    name = (
        "imputed_value_floats"
        if "imputed_value_floats" in node.attributes
        else "imputed_value_int64s"
    )
    return fn.replace_nan(x, _floats(node, name))


def _one_hot(node: Node) -> Operand:
    keys = node.attributes.get("cats_int64s")
    if keys is None:
        raise Unsupported("categories that are no integers")
    if not node.attributes.get("zeros", 1):
        raise Unsupported("zeros=0, an error for what is unknown")
    keys = [int(key) for key in keys]
    found = rounded_keys(to_integers(node.value(0)), min(keys), max(keys))
    table = dict(zip(keys, np.eye(len(keys)), strict=True))
    return ex.lookup(found, table, np.zeros(len(keys)))


def _label_encoder(node: Node) -> Operand:
    given = node.attributes
    keys = given.get("keys_int64s", given.get("keys_floats"))
    to = "values_floats" if "values_floats" in given else "values_int64s"
    if keys is None or to not in given:
        raise Unsupported("keys or values that are no numbers")
    if any(float(key) % 1 for key in keys):
        raise Unsupported("keys that are not whole")
    default = (
        given.get("default_float", 0.0) if to == "values_floats" else given.get("default_int64", -1)
    )
    table = {}
    for key, value in zip(keys, given[to], strict=True):
        if -(2**31) <= key < 2**31:
            table[int(key)] = np.array([value])
        elif value != default:
            raise Unsupported("keys that no int32 holds")
    # No key may be left: then every number takes the default.
    x = rounded_keys(node.value(0), min(table, default=0), max(table, default=0))
    x = exact_keys(x, list(table)) if "keys_floats" in given else x
    return ex.reshape(ex.lookup(x, table, [default]), x.shape)


def _extractor(node: Node) -> Operand:
    x = node.value(0)
    chosen = np.asarray(node.array(1)).reshape(-1)
    return ex.rearrange(x, ex.positions_of(x)[..., chosen])


def _vectorizer(node: Node) -> Operand:
    return ex.concatenate([node.value(i) for i in range(len(node.inputs))], -1)


def _binarizer(node: Node) -> Operand:
    threshold = ex.constant(float(node.attributes.get("threshold", 0.0)))
    return fn.positive(ex.subtract(node.value(0), threshold))


def _support_vectors(node: Node) -> Operand:
    """Handle the support vector machine of a regression, with a linear or an RBF kernel."""
    x, kernel = node.value(0), node.attributes.get("kernel_type", b"LINEAR")
    factors, shift = _floats(node, "coefficients"), _floats(node, "rho")[:1]
    if node.attributes.get("one_class", 0) or node.attributes.get("post_transform", b"NONE") != (
        b"NONE"
    ):
        raise Unsupported("a support vector machine of one class, or with a post_transform")
    if not node.attributes.get("n_supports", 0):
        return ex.dense(x, factors[None], shift)
    gamma, constant, degree = node.attributes.get("kernel_params", (0.0, 0.0, 0.0))
    vectors = _floats(node, "support_vectors").reshape(len(factors), -1)
    return weighted(
        x,
        vectors,
        factors[None],
        shift,
        kernel=kernel.decode().lower(),
        gamma=gamma,
        coef0=constant,
        degree=degree,
    )


ML_OPERATORS: dict[str, Handler | Any] = {
    "LinearRegressor": _linear_regressor,
    "LinearClassifier": _linear_classifier,
    "Scaler": _scaler,
    "Normalizer": normalizer,
    "Imputer": _imputer,
    "OneHotEncoder": _one_hot,
    "LabelEncoder": _label_encoder,
    "ArrayFeatureExtractor": _extractor,
    "FeatureVectorizer": _vectorizer,
    "Binarizer": _binarizer,
    "SVMRegressor": _support_vectors,
}
