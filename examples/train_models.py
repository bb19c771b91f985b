"""Train the models that the package ships, and write their data: `python examples/train_models.py`.

Needs scikit-learn (`pip install '.[examples]'`). Everything goes to `instmodel/examples/`, from
where the wheel takes it, or to the folder given as argument. The same scikit-learn on the same
machine writes the same bytes; another BLAS can differ in the last digits.

Every fourth row (row number from 0, modulo 4, equal to 3) is held out: no model has seen it in
training, and no setting was tuned on it. All settings are scikit-learn's defaults, except for the
layer sizes and the number of iterations.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

SHIPPED = Path(__file__).resolve().parent.parent / "instmodel" / "examples"
VALIDATION_ROWS = 8


def held_out(rows: int) -> np.ndarray:
    """Return the mask of the rows that training must not see."""
    return np.arange(rows) % 4 == 3


def as_float32(values: np.ndarray) -> np.ndarray:
    """Round to float32, but stay in float64: scikit-learn then computes with what is shipped."""
    return values.astype(np.float32).astype(np.float64)


def shortest(values: np.ndarray) -> list:
    """Turn an array into lists of the shortest decimals that give the same float32 again."""
    if values.ndim > 1:
        return [shortest(row) for row in values]
    return [float(str(value)) for value in values.astype(np.float32)]


def dense(index: int, activation: str) -> dict:
    """Return the instruction of layer `index`, which reads the last buffer and writes a new one."""
    return {"type": "DOT", "weights": index, "activation": activation}


def document(X, names, layers, instructions, outputs, notes, parameters=()) -> dict:
    """Put a model document together from scikit-learn's layers, given as (weights, bias) pairs.

    Parameters
    ----------
    X : array of shape (rows, features)
        The data; some rows, spread evenly, become the validation data.
    layers : list of (array of shape (inputs, outputs), array of shape (outputs,))
        As scikit-learn keeps them; a document has one row per output.
    instructions : list of dict
        Without `input` and `output`, which are counted here.
    outputs : array of shape (rows, classes)
        What scikit-learn computes for `X`, in float64.
    """
    buffer = 0
    for instruction in instructions:
        instruction["input"] = buffer
        if instruction["type"] == "DOT":
            buffer += 1
            instruction["output"] = buffer
    rows = np.linspace(0, len(X) - 1, VALIDATION_ROWS).astype(int)
    validation = {"inputs": shortest(X[rows]), "expected_outputs": shortest(outputs[rows])}
    return {
        "features": [str(name) for name in names],
        "buffer_sizes": [X.shape[1], *(len(bias) for _, bias in layers)],
        "instructions": instructions,
        "weights": [shortest(weights.T) for weights, _ in layers],
        "bias": [shortest(bias) for _, bias in layers],
        "parameters": [shortest(vector) for vector in parameters],
        "validation_data": validation,
        "metadata": {"trained_by": "examples/train_models.py", **notes},
    }


def logistic_regression(X, y, names) -> dict:
    """Train on standardised features, then fold the standardisation into weights and bias."""
    train = ~held_out(len(y))
    scaler = StandardScaler().fit(X[train])
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(X[train]), y[train])

    weights = model.coef_ / scaler.scale_
    model.intercept_ = as_float32(model.intercept_ - weights @ scaler.mean_)
    model.coef_ = as_float32(weights)

    outputs = model.predict_proba(as_float32(X))[:, 1:]
    layers = [(model.coef_.T, model.intercept_)]
    notes = {"output": "probability of a benign tumour"}
    return document(X, names, layers, [dense(0, "SIGMOID")], outputs, notes)


def network(X, y, names) -> dict:
    """Train 30-16-8-1 on standardised features; the standardisation becomes two instructions."""
    train = ~held_out(len(y))
    scaler = StandardScaler().fit(X[train])
    model = MLPClassifier((16, 8), max_iter=2000, random_state=0)
    model.fit(scaler.transform(X[train]), y[train])

    shift, scale = as_float32(-scaler.mean_), as_float32(1 / scaler.scale_)
    model.coefs_ = [as_float32(weights) for weights in model.coefs_]
    model.intercepts_ = [as_float32(bias) for bias in model.intercepts_]

    outputs = model.predict_proba((as_float32(X) + shift) * scale)[:, 1:]
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    instructions = [
        {"type": "ADD_ELEMENTWISE", "parameters": 0},
        {"type": "MUL_ELEMENTWISE", "parameters": 1},
        dense(0, "RELU"),
        dense(1, "RELU"),
        dense(2, "SIGMOID"),
    ]
    notes = {"output": "probability of a benign tumour"}
    return document(X, names, layers, instructions, outputs, notes, [shift, scale])


def digits_softmax(X, y, names) -> dict:
    """Train 64-32-10 on the pixels as they are, 0 to 16."""
    train = ~held_out(len(y))
    model = MLPClassifier((32,), max_iter=1000, random_state=0).fit(X[train], y[train])
    model.coefs_ = [as_float32(weights) for weights in model.coefs_]
    model.intercepts_ = [as_float32(bias) for bias in model.intercepts_]

    outputs = model.predict_proba(X)
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    notes = {"output": "probabilities of the digits 0 to 9"}
    return document(X, names, layers, [dense(0, "RELU"), dense(1, "SOFTMAX")], outputs, notes)


def write_csv(path: Path, X, y, names) -> None:
    """Write the features by name and the label as column `target`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "target"])
        for row, label in zip(X.tolist(), y, strict=True):
            writer.writerow([*row, label])


def write_model(path: Path, model: dict) -> None:
    """Write one key per line."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in model.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


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
        write_model(folder / f"{name}.json", train(data.data, data.target, data.feature_names))
        print(f"wrote {folder / name}.json")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
