"""From scikit-learn to a verified model: `python examples/from_sklearn.py [FOLDER]`.

Trains two pipelines on the breast cancer data, imports them, proves that they are the same models,
compares them, and writes reports. Needs `pip install '.[sklearn,onnx,report]'`.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import instmodel as im
from instmodel.cli import main as instmodel

DATA = Path(im.__file__).parent / "examples" / "breast_cancer.csv"


def main(folder: Path) -> None:
    """Write two models and two reports into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with DATA.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))[:-1]
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    rows, benign = table[:, :-1].astype(np.float32), table[:, -1]
    train = np.arange(len(rows)) % 4 != 3

    champion = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    challenger = make_pipeline(
        StandardScaler(), PCA(10), MLPClassifier((16, 8), max_iter=2000, random_state=0)
    )
    for name, pipeline in (("champion", champion), ("challenger", challenger)):
        pipeline.fit(rows[train], benign[train])
        # Compares with the pipeline on these rows, and keeps some as validation data.
        info = im.importers.from_sklearn(pipeline, sample=rows)
        info.features = names
        info.save(folder / f"{name}.instmodel")
        info.to_onnx(folder / f"{name}.onnx")

        def scikit_learn(rows, pipeline=pipeline):
            return pipeline.predict_proba(rows.astype(np.float64))[:, 1]

        for witness in (scikit_learn, folder / f"{name}.onnx"):
            found = im.verify(info, rows, against=witness)
            print(f"{name}: {found.outputs[0].max_absolute:.1e} from {found.against}")
            if not found.same:
                raise SystemExit(f"{name} is not the model that was trained: {found.divergence}")

    old, new = str(folder / "champion.instmodel"), str(folder / "challenger.instmodel")
    onnx = str(folder / "challenger.onnx")
    report = str(folder / "verification.html")
    if instmodel(["verify", new, "--data", str(DATA), "--against", onnx, "--report", report]):
        raise SystemExit("the challenger is not the same in ONNX Runtime")
    report = str(folder / "comparison.html")
    arguments = ["--data", str(DATA), "--labels", "target", "--report", report]
    if instmodel(["compare", old, new, *arguments]):
        raise SystemExit("could not compare")
    print(f"\nopen {report} in a browser")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else Path("sklearn-example"))
