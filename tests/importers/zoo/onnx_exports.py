"""What skl2onnx, PyTorch (by both of its exporters) and Keras write."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import onnx
from importers.zoo.onnx_sources import graph, numbers
from support.zoo import Case

# ---------------------------------------------------------------------------------- scikit-learn

X = numbers(4)
TWO = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)
THREE = np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.5])
LINE = X @ [1.0, -2.0, 0.5, 0.1] + 3
COUNTS = np.round(np.exp(0.3 * X[:, 0]) * 3)
CODES = np.random.default_rng(1).integers(0, 5, (300, 2)).astype(np.float32)


def from_sklearn(steps: list[tuple[str, dict]], y: np.ndarray, x: np.ndarray = X):
    """Fit a pipeline of classes, such as "preprocessing.StandardScaler", and export it."""
    import skl2onnx
    from sklearn.pipeline import make_pipeline

    made = []
    for path, arguments in steps:
        module, name = path.rsplit(".", 1)
        made.append(getattr(importlib.import_module(f"sklearn.{module}"), name)(**arguments))
    fitted = make_pipeline(*made).fit(x, y)
    return skl2onnx.to_onnx(fitted, x[:1], options=_options(made[-1]))


def _options(last) -> dict:
    return {type(last): {"zipmap": False}} if hasattr(last, "predict_proba") else {}


SCALER = ("preprocessing.StandardScaler", {})
# name: (steps, target)
SKLEARN = {
    "LogisticRegression": ([SCALER, ("linear_model.LogisticRegression", {})], TWO),
    "LogisticRegression, three classes": (
        [SCALER, ("linear_model.LogisticRegression", {})],
        THREE,
    ),
    "LinearRegression": ([("linear_model.LinearRegression", {})], LINE),
    "Ridge behind a MinMaxScaler": (
        [("preprocessing.MinMaxScaler", {}), ("linear_model.Ridge", {})],
        LINE,
    ),
    "Lasso behind a RobustScaler": (
        [("preprocessing.RobustScaler", {}), ("linear_model.Lasso", {"alpha": 0.01})],
        LINE,
    ),
    "ElasticNet behind a MaxAbsScaler": (
        [("preprocessing.MaxAbsScaler", {}), ("linear_model.ElasticNet", {"alpha": 0.01})],
        LINE,
    ),
    "HuberRegressor": ([SCALER, ("linear_model.HuberRegressor", {})], LINE),
    "BayesianRidge": ([SCALER, ("linear_model.BayesianRidge", {})], LINE),
    "PoissonRegressor": ([("linear_model.PoissonRegressor", {})], COUNTS),
    "GammaRegressor": ([("linear_model.GammaRegressor", {})], COUNTS + 1),
    "TweedieRegressor": ([("linear_model.TweedieRegressor", {"power": 1.5})], COUNTS),
    "SGDClassifier, log loss": (
        [SCALER, ("linear_model.SGDClassifier", {"loss": "log_loss", "random_state": 0})],
        TWO,
    ),
    "LinearSVR": ([SCALER, ("svm.LinearSVR", {})], LINE),
    "SVR, RBF": ([SCALER, ("svm.SVR", {})], LINE),
    "SVR, linear": ([SCALER, ("svm.SVR", {"kernel": "linear"})], LINE),
    "PCA, LogisticRegression": (
        [
            SCALER,
            ("decomposition.PCA", {"n_components": 2}),
            ("linear_model.LogisticRegression", {}),
        ],
        TWO,
    ),
    "TruncatedSVD, Ridge": (
        [("decomposition.TruncatedSVD", {"n_components": 2}), ("linear_model.Ridge", {})],
        LINE,
    ),
    "PolynomialFeatures, Ridge": (
        [SCALER, ("preprocessing.PolynomialFeatures", {}), ("linear_model.Ridge", {})],
        LINE,
    ),
    "Normalizer, LogisticRegression": (
        [("preprocessing.Normalizer", {}), ("linear_model.LogisticRegression", {})],
        TWO,
    ),
    "Binarizer, LogisticRegression": (
        [("preprocessing.Binarizer", {}), ("linear_model.LogisticRegression", {})],
        TWO,
    ),
    "SelectKBest, LogisticRegression": (
        [("feature_selection.SelectKBest", {"k": 2}), ("linear_model.LogisticRegression", {})],
        TWO,
    ),
    "LinearDiscriminantAnalysis": (
        [("discriminant_analysis.LinearDiscriminantAnalysis", {})],
        THREE,
    ),
    "MLPClassifier": (
        [SCALER, ("neural_network.MLPClassifier", {"max_iter": 20, "random_state": 0})],
        TWO,
    ),
    "MLPClassifier, three classes, tanh": (
        [
            SCALER,
            (
                "neural_network.MLPClassifier",
                {"max_iter": 20, "activation": "tanh", "random_state": 0},
            ),
        ],
        THREE,
    ),
    "MLPRegressor, logistic": (
        [
            SCALER,
            (
                "neural_network.MLPRegressor",
                {"max_iter": 20, "activation": "logistic", "random_state": 0},
            ),
        ],
        LINE,
    ),
    "PowerTransformer, Ridge": (
        [("preprocessing.PowerTransformer", {}), ("linear_model.Ridge", {})],
        LINE,
    ),
    "GaussianNB": ([("naive_bayes.GaussianNB", {})], THREE),
    "BernoulliNB": ([("naive_bayes.BernoulliNB", {})], TWO),
    "OneVsRestClassifier": (
        [
            (
                "multiclass.OneVsRestClassifier",
                {"estimator": importlib.import_module("sklearn.linear_model").LogisticRegression()},
            )
        ],
        THREE,
    ),
    "CalibratedClassifierCV": ([("calibration.CalibratedClassifierCV", {})], TWO),
}

REFUSED = {"PowerTransformer, Ridge": (*["several exponents"] * 2, *["replacement of inf"] * 2)}

# ---------------------------------------------------------------------------------------- PyTorch


def _export(module, columns: int, dynamo: bool) -> onnx.ModelProto:
    import torch

    module.eval()
    example = (torch.zeros(2, columns),)
    if dynamo:
        batch = torch.export.Dim("batch", min=2)
        program = torch.onnx.export(
            module, example, dynamo=True, dynamic_shapes=({0: batch},), verbose=False
        )
        return program.model_proto
    target = io.BytesIO()
    torch.onnx.export(
        module,
        example,
        target,
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "N"}, "y": {0: "N"}},
    )
    return onnx.load_from_string(target.getvalue())


def from_torch(make: Callable, columns: int, dynamo: bool) -> onnx.ModelProto:
    import torch

    torch.manual_seed(0)
    return _export(make(torch, torch.nn), columns, dynamo)


def _formula(function: Callable, **parts) -> Callable:
    """Return what makes a module with parts, whose forward is the function."""

    def make(torch, nn):
        class Formula(nn.Module):
            def __init__(self):
                super().__init__()
                for name, part in parts.items():
                    setattr(self, name, part(nn))

            def forward(self, x):
                return function(self, x, torch)

        return Formula()

    return make


def _attention(m, x, torch):
    tokens = x.reshape(-1, 3, 4)
    q, k, v = m.q(tokens), m.k(tokens), m.v(tokens)
    weights = torch.softmax(q @ k.transpose(1, 2) / 2.0, dim=-1)
    return m.out((weights @ v).flatten(1))


def _heads(m, x, torch):
    tokens = x.reshape(-1, 3, 4)
    q, k, v = (part.reshape(-1, 3, 2, 2).transpose(1, 2) for part in m.qkv(tokens).chunk(3, dim=-1))
    mixed = torch.softmax(q @ k.transpose(-1, -2) * 2**-0.5, dim=-1) @ v
    return m.out(m.norm(tokens + mixed.transpose(1, 2).reshape(-1, 3, 4)).flatten(1))


TORCH = {
    "MLP": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()
    ),
    "MLP with BatchNorm1d and Dropout": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2)
    ),
    "LayerNorm": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 1)
    ),
    "GroupNorm": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 8), nn.GroupNorm(2, 8), nn.SiLU(), nn.Linear(8, 1)
    ),
    "SiLU, Mish, ELU, SELU": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 4), nn.SiLU(), nn.Mish(), nn.ELU(), nn.SELU(), nn.Linear(4, 1)
    ),
    "LeakyReLU, PReLU, Hardswish": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 4), nn.LeakyReLU(), nn.PReLU(), nn.Hardswish(), nn.Linear(4, 1)
    ),
    "Softplus, Softsign, Hardtanh": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 4), nn.Softplus(), nn.Softsign(), nn.Hardtanh(), nn.Linear(4, 1)
    ),
    "Softshrink, Hardshrink, Tanhshrink": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 4), nn.Softshrink(), nn.Hardshrink(0.1), nn.Tanhshrink(), nn.Linear(4, 1)
    ),
    "ReLU6, LogSigmoid": lambda torch, nn: nn.Sequential(
        nn.Linear(6, 4), nn.ReLU6(), nn.Linear(4, 3), nn.LogSigmoid()
    ),
    "Softmax": lambda torch, nn: nn.Sequential(nn.Linear(6, 3), nn.Softmax(-1)),
    "LogSoftmax": lambda torch, nn: nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(-1)),
    "GLU": lambda torch, nn: nn.Sequential(nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 1)),
    "a residual block": _formula(
        lambda m, x, torch: x + m.b(torch.relu(m.a(x))),
        a=lambda nn: nn.Linear(6, 8),
        b=lambda nn: nn.Linear(8, 6),
    ),
    "a cross layer": _formula(
        lambda m, x, torch: m.out(x * m.a(x) + x),
        a=lambda nn: nn.Linear(6, 6),
        out=lambda nn: nn.Linear(6, 1),
    ),
    "wide and deep": _formula(
        lambda m, x, torch: torch.sigmoid(m.wide(x) + m.deep(torch.relu(m.hidden(x)))),
        wide=lambda nn: nn.Linear(6, 1),
        hidden=lambda nn: nn.Linear(6, 8),
        deep=lambda nn: nn.Linear(8, 1),
    ),
    "F.normalize, cosine": _formula(
        lambda m, x, torch: (
            torch.nn.functional.normalize(m.a(x)) * torch.nn.functional.normalize(m.b(x))
        ).sum(1, keepdim=True),
        a=lambda nn: nn.Linear(6, 4),
        b=lambda nn: nn.Linear(6, 4),
    ),
    "RMSNorm by hand": _formula(
        lambda m, x, torch: m.a(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)),
        a=lambda nn: nn.Linear(6, 2),
    ),
    "attention over tokens": lambda torch, nn: _formula(
        _attention,
        q=lambda nn: nn.Linear(4, 4),
        k=lambda nn: nn.Linear(4, 4),
        v=lambda nn: nn.Linear(4, 4),
        out=lambda nn: nn.Linear(12, 1),
    )(torch, nn),
    "where, comparisons, clamp": _formula(
        lambda m, x, torch: torch.where(x[:, :1] > 0.2, m.a(x), m.b(x.clamp(-1, 1))),
        a=lambda nn: nn.Linear(6, 3),
        b=lambda nn: nn.Linear(6, 3),
    ),
    "maximum, minimum": _formula(
        lambda m, x, torch: torch.maximum(m.a(x), m.b(x)) - torch.minimum(x[:, :3], x[:, 3:]),
        a=lambda nn: nn.Linear(6, 3),
        b=lambda nn: nn.Linear(6, 3),
    ),
    "mixture of experts": _formula(
        lambda m, x, torch: (
            torch.stack([m.a(x), m.b(x)], 1) * torch.softmax(m.gate(x), -1).unsqueeze(-1)
        ).sum(1),
        a=lambda nn: nn.Linear(6, 3),
        b=lambda nn: nn.Linear(6, 3),
        gate=lambda nn: nn.Linear(6, 2),
    ),
    "pairs of features multiplied": _formula(
        lambda m, x, torch: m.out(torch.einsum("bi,bj->bij", x[:, :3], x[:, 3:]).flatten(1)),
        out=lambda nn: nn.Linear(9, 1),
    ),
    "log and sqrt of amounts": _formula(
        lambda m, x, torch: m.out(torch.cat([torch.log1p(x.abs()), torch.sqrt(x.abs())], 1)),
        out=lambda nn: nn.Linear(12, 1),
    ),
    "multi-head attention": lambda torch, nn: _formula(
        _heads,
        qkv=lambda nn: nn.Linear(4, 12),
        norm=lambda nn: nn.LayerNorm(4),
        out=lambda nn: nn.Linear(12, 1),
    )(torch, nn),
    "a transformer's encoder layer": lambda torch, nn: nn.Sequential(
        nn.Unflatten(1, (3, 4)),
        nn.TransformerEncoderLayer(4, 2, 4, batch_first=True),
        nn.Flatten(),
        nn.Linear(12, 1),
    ),
}
# The new exporter takes seconds for each.
BOTH = (
    *("MLP", "LayerNorm", "GLU", "attention over tokens", "where, comparisons, clamp"),
    *("F.normalize, cosine", "log and sqrt of amounts", "mixture of experts"),
)
# The old exporter writes the size of its example's batch into the graph.
NEW_ONLY = ("a transformer's encoder layer",)
COLUMNS = {name: 12 for name in ("attention over tokens", "multi-head attention", *NEW_ONLY)}

# ------------------------------------------------------------------------------------------ Keras


def from_keras(make: Callable) -> onnx.ModelProto:
    import keras

    return _export(make(keras, keras.layers), 6, dynamo=False)


def _branches(keras, layers):
    x = keras.Input((6,))
    a, b = layers.Dense(4, "gelu")(x), layers.Dense(4, "tanh")(x)
    joined = layers.Concatenate()([a, layers.Multiply()([a, b])])
    return keras.Model(x, layers.Dense(3, "softmax")(joined))


KERAS = {
    "Dense": lambda keras, layers: keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1, "sigmoid")]
    ),
    "BatchNormalization": lambda keras, layers: keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(1),
        ]
    ),
    "two branches": lambda keras, layers: _branches(keras, layers),
    "UnitNormalization, swish": lambda keras, layers: keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "swish"), layers.UnitNormalization(), layers.Dense(1)]
    ),
}


def _cases():
    if find_spec("skl2onnx"):
        for name, (steps, y) in SKLEARN.items():
            make = partial(from_sklearn, steps, y)
            refused = REFUSED.get(name, ())
            yield Case(f"skl2onnx: {name}", "skl2onnx", graph(make, X), refused)
    if find_spec("torch") and find_spec("onnxscript"):
        for name, make in TORCH.items():
            columns = COLUMNS.get(name, 6)
            for dynamo in (
                (True,) if name in NEW_ONLY else (False, True) if name in BOTH else (False,)
            ):
                kind = f"torch.onnx.export, dynamo={dynamo}"
                made = partial(from_torch, make, columns, dynamo)
                yield Case(f"{kind}: {name}", kind, graph(made, numbers(columns)))
    if find_spec("keras") and find_spec("torch") and not find_spec("tensorflow"):
        for name, make in KERAS.items():
            made = partial(from_keras, make)
            yield Case(f"Keras on PyTorch: {name}", "Keras on PyTorch", graph(made, numbers(6)))


CASES = list(_cases())
