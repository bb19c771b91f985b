"""Train the models that the package ships, and write their data: `python examples/train_models.py`.

Needs scikit-learn (`pip install '.[examples]'`), and shows how to turn its models into instruction
models. Everything goes to `instmodel/examples/`, from where the wheel takes it, or to the folder
given as argument. The same scikit-learn on the same machine writes the same bytes; another BLAS can
differ in the last digits.

Every fourth row (row number from 0, modulo 4, equal to 3) is held out: no model has seen it in
training, and no setting was tuned on it. All settings are scikit-learn's defaults, except for the
layer sizes and the number of iterations.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import instmodel as im

SHIPPED = Path(__file__).resolve().parent.parent / "instmodel" / "examples"
VALIDATION_ROWS = 8


def held_out(rows: int) -> np.ndarray:
    """Return the mask of the rows that training must not see."""
    return np.arange(rows) % 4 == 3


def as_float32(values: np.ndarray) -> np.ndarray:
    """Round to float32, but stay in float64: scikit-learn then computes with what is shipped."""
    return values.astype(np.float32).astype(np.float64)


def some_rows(X: np.ndarray, outputs: np.ndarray) -> im.ValidationData:
    """Return a few rows, spread evenly, with what scikit-learn computes for them in float64."""
    rows = np.linspace(0, len(X) - 1, VALIDATION_ROWS).astype(int)
    return im.ValidationData(list(X[rows]), list(outputs[rows]))


def logistic_regression(X, y, names) -> im.InstructionModelInfo:
    """Train on standardised features, then fold the standardisation into weights and bias."""
    train = ~held_out(len(y))
    scaler = StandardScaler().fit(X[train])
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(X[train]), y[train])

    weights = model.coef_ / scaler.scale_
    model.intercept_ = as_float32(model.intercept_ - weights @ scaler.mean_)
    model.coef_ = as_float32(weights)

    coefficients = dict(zip(names, model.coef_[0], strict=True))
    info = im.InstructionModelInfo.from_logistic_regression_model(
        coefficients | {"constant": model.intercept_[0]}, feature_order=names
    )
    info.validation_data = some_rows(X, model.predict_proba(as_float32(X))[:, 1:])
    info.metadata = {"output": "probability of a benign tumour"}
    return info


def network(X, y, names) -> im.InstructionModelInfo:
    """Train 30-16-8-1 on standardised features; the standardisation becomes two instructions."""
    train = ~held_out(len(y))
    scaler = StandardScaler().fit(X[train])
    model = MLPClassifier((16, 8), max_iter=2000, random_state=0)
    model.fit(scaler.transform(X[train]), y[train])

    shift, scale = as_float32(-scaler.mean_), as_float32(1 / scaler.scale_)
    round_weights(model)
    outputs = model.predict_proba((as_float32(X) + shift) * scale)[:, 1:]

    builder = im.ModelBuilder()
    values = builder.input(names)
    values = builder.add_elementwise(values, shift)
    values = builder.mul_elementwise(values, scale)
    return builder.build(
        output=add_layers(builder, values, model, ["RELU", "RELU", "SIGMOID"]),
        validation_data=some_rows(X, outputs),
        metadata={"output": "probability of a benign tumour"},
    )


def digits_softmax(X, y, names) -> im.InstructionModelInfo:
    """Train 64-32-10 on the pixels as they are, 0 to 16."""
    train = ~held_out(len(y))
    model = MLPClassifier((32,), max_iter=1000, random_state=0).fit(X[train], y[train])
    round_weights(model)

    builder = im.ModelBuilder()
    return builder.build(
        output=add_layers(builder, builder.input(names), model, ["RELU", "SOFTMAX"]),
        validation_data=some_rows(X, model.predict_proba(X)),
        metadata={"output": "probabilities of the digits 0 to 9"},
    )


def round_weights(model: MLPClassifier) -> None:
    """Round a trained network to float32."""
    model.coefs_ = [as_float32(weights) for weights in model.coefs_]
    model.intercepts_ = [as_float32(bias) for bias in model.intercepts_]


def add_layers(builder, values, model, activations):
    """Add the layers of a scikit-learn network, whose weights have one row per input."""
    for weights, bias, activation in zip(model.coefs_, model.intercepts_, activations, strict=True):
        values = builder.dense(values, weights.T, bias, activation)
    return values


def write_csv(path: Path, X, y, names) -> None:
    """Write the features by name and the label as column `target`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "target"])
        for row, label in zip(X.tolist(), y, strict=True):
            writer.writerow([*row, label])


def main(folder: Path = SHIPPED) -> None:
    """Write two data sets and three models."""
    folder.mkdir(parents=True, exist_ok=True)
    cancer, digits = load_breast_cancer(), load_digits()
    digits.data = digits.data.astype(int)
    for name, data in (("breast_cancer", cancer), ("digits", digits)):
        write_csv(folder / f"{name}.csv", data.data, data.target, data.feature_names)
    for name, train, data in (
        ("breast_cancer_logistic", logistic_regression, cancer),
        ("breast_cancer_network", network, cancer),
        ("digits_softmax", digits_softmax, digits),
    ):
        info = train(data.data, data.target, [str(name) for name in data.feature_names])
        info.metadata["trained_by"] = "examples/train_models.py"
        info.save(folder / f"{name}.json")
        print(f"wrote {folder / name}.json")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
