"""Models of public packages, as these make them, are imported as what they are."""

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from importers.zoo.torch_nets import codes, module, numbers
from support.zoo import Case, hold
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export, and of the packages

MIXED = np.concatenate([numbers(4), codes(5, 7, 4)], 1)
INPUTS = [(4, torch.float32), (3, torch.int64)]


def held(make, rows=None, inputs=None):
    hold(Case("", "", module(make, numbers(4) if rows is None else rows, inputs)))


@pytest.mark.parametrize("name", ["MLP", "ResNet", "FTTransformer"])
def test_rtdl_revisiting_models(name):
    models = pytest.importorskip("rtdl_revisiting_models")
    if name == "MLP":
        held(lambda: models.MLP(d_in=4, d_out=1, n_blocks=2, d_block=8, dropout=0.1))
    elif name == "ResNet":
        sizes = {"d_block": 8, "d_hidden": None, "d_hidden_multiplier": 2.0}
        held(
            lambda: models.ResNet(d_in=4, d_out=1, n_blocks=2, **sizes, dropout1=0.1, dropout2=0.0)
        )
    else:
        options = models.FTTransformer.get_default_kwargs(1) | {
            "d_block": 8,
            "attention_n_heads": 2,
        }
        held(
            lambda: models.FTTransformer(
                n_cont_features=4, cat_cardinalities=[5, 7, 4], d_out=1, **options
            ),
            MIXED,
            INPUTS,
        )


@pytest.mark.parametrize("name", ["linear", "encoding", "embeddings A", "embeddings B"])
def test_rtdl_num_embeddings(name):
    package = pytest.importorskip("rtdl_num_embeddings")
    bins = package.compute_bins(torch.from_numpy(numbers(4)), n_bins=5)
    width = sum(len(edges) - 1 for edges in bins)
    make = {
        "linear": lambda: nn.Sequential(
            package.LinearReLUEmbeddings(4, 3), nn.Flatten(), nn.Linear(12, 1)
        ),
        "encoding": lambda: nn.Sequential(
            package.PiecewiseLinearEncoding(bins), nn.Linear(width, 1)
        ),
    }
    for version in "AB":
        make[f"embeddings {version}"] = lambda version=version: nn.Sequential(
            package.PiecewiseLinearEmbeddings(bins, 3, activation=True, version=version),
            nn.Flatten(),
            nn.Linear(12, 1),
        )
    held(make[name])


@pytest.mark.parametrize("arch", ["tabm", "tabm-mini", "tabm-packed"])
def test_tabm(arch):
    package = pytest.importorskip("tabm")
    held(
        lambda: package.TabM.make(
            n_num_features=4,
            cat_cardinalities=[5, 7, 4],
            d_out=1,
            arch_type=arch,
            k=3,
            n_blocks=2,
            d_block=6,
        ),
        MIXED,
        INPUTS,
    )
