"""From PyTorch to a verified model: `python examples/from_torch.py [FOLDER]`.

Trains two versions of a network on the digits, imports them, proves that they are the same models,
compares them, and writes reports. Needs `pip install '.[torch,onnx,report]'`.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import instmodel as im
from instmodel.cli import main as instmodel

DATA = Path(im.__file__).parent / "examples" / "digits.csv"


def trained(width: int, rows: torch.Tensor, digits: torch.Tensor) -> nn.Module:
    """Return a small network with batch norm and dropout; it ends in probabilities."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Linear(64, width),
        nn.BatchNorm1d(width),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Linear(width, 10),
    )
    optimizer = torch.optim.Adam(layers.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(layers(rows), digits).backward()
        optimizer.step()
    return nn.Sequential(layers, nn.Softmax(dim=-1)).eval()


def main(folder: Path) -> None:
    """Write two models and two reports into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with DATA.open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))[:-1]
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    rows, digits = table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64)
    train = np.arange(len(rows)) % 4 != 3

    for name, width in (("champion", 16), ("challenger", 48)):
        module = trained(width, torch.tensor(rows[train]), torch.tensor(digits[train]))
        # Compares with the module on these rows, and keeps some as validation data.
        info = im.importers.from_torch(module, torch.tensor(rows[:2]), features=names, sample=rows)
        info.save(folder / f"{name}.instmodel")
        info.to_onnx(folder / f"{name}.onnx")

        def pytorch(rows, module=module):
            with torch.no_grad():
                return module(torch.tensor(rows)).numpy()

        for witness in (pytorch, folder / f"{name}.onnx"):
            found = im.verify(info, rows, against=witness)
            largest = max(output.max_absolute for output in found.outputs)
            print(f"{name}: {largest:.1e} from {found.against}")
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
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else Path("torch-example"))
