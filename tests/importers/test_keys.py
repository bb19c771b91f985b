"""Keys that are converted to integers lose their fraction; those that a source refuses give NaN."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch
from support.onnx_graphs import array, ints, model
from support.sources import assert_same
from torch import nn

from instmodel.importers.onnx import from_onnx, run_onnx
from instmodel.importers.torch import from_torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export

# How many keys each of the three columns has, and where its rows start in a table of them all.
FIELDS, OFFSETS = (5, 7, 10), (0, 5, 12)
NOT_WHOLE = torch.zeros(2, 3)
WHOLE = NOT_WHOLE.long()


class Lookups(nn.Module):
    def __init__(self, keys):
        super().__init__()
        self.keys, self.table = keys, nn.Embedding(22, 2)
        self.register_buffer("offsets", torch.tensor(OFFSETS))

    def forward(self, x):
        return self.table(self.keys(self, x)).flatten(1)


# What the keys are made of, and an example of the input.
MODULES = {
    "long": (lambda m, x: x.long(), NOT_WHOLE),
    "int": (lambda m, x: x.int(), NOT_WHOLE),
    "to": (lambda m, x: x.to(torch.int64), NOT_WHOLE),
    "type": (lambda m, x: x.type(torch.int64), NOT_WHOLE),
    "one by one": (lambda m, x: torch.stack([x[:, 2].long(), x[:, 0].long()], 1), NOT_WHOLE),
    "limited": (lambda m, x: x.long().clamp(0, 3), NOT_WHOLE),
    "scaled": (lambda m, x: (x / 2).long(), NOT_WHOLE),
    "one table for all": (lambda m, x: x.long() + m.offsets, NOT_WHOLE),
    "one table for all, integers": (lambda m, x: x + m.offsets, WHOLE),
    "one table for all, of a constant": (lambda m, x: x + x.new_tensor(OFFSETS)[None], WHOLE),
}


def fractional_rows():
    """Return keys of any fraction, and those just below and at whole numbers."""
    rng = np.random.default_rng(3)
    rows = np.stack([rng.uniform(-0.999, size - 0.001, 3000) for size in FIELDS], axis=1)
    rows[:1000] = np.floor(rows[:1000]).clip(min=0)
    rows[1000:1100] = np.nextafter(np.float32(rng.integers(1, 5, (100, 3))), np.float32(0))
    return rows.astype(np.float32)


@pytest.mark.parametrize("name", MODULES)
def test_a_key_loses_its_fraction_as_in_pytorch(name):
    torch.manual_seed(0)
    keys, example = MODULES[name]
    module = Lookups(keys)
    rows = fractional_rows() if example is NOT_WHOLE else np.trunc(fractional_rows())
    with torch.no_grad():
        expected = module(torch.tensor(rows).to(example.dtype)).numpy()
    info = from_torch(module, example)  # draws keys that are in the table
    assert_same(info, rows, expected)
    assert info.validation_data is not None


@pytest.mark.parametrize("key", [-1.0, -7.0, 25.0, 34.7, 3e9, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("limited", "scaled")])
def test_a_key_that_pytorch_refuses_gives_nan(name, key):
    keys, example = MODULES[name]
    compiled = im.InstructionModel(from_torch(Lookups(keys), example))
    assert np.isnan(compiled.predict(np.full((2, 3), key, np.float32))).any(axis=1).all()
    assert np.isfinite(compiled.predict(np.ones((2, 3), np.float32))).all()


def test_large_keys_of_numbers_with_fractions_are_refused():
    # float32 has no halves there, by which fractions are dropped.
    graph = {"keys_int64s": [1, 1 << 23], "values_floats": [1.0, 2.0]}
    body = (
        "k = Cast<to=7>(x) y = ai.onnx.ml.LabelEncoder"
        f"<keys_int64s={graph['keys_int64s']}, values_floats={graph['values_floats']}>(k)"
    )
    with pytest.raises(im.UnsupportedModelError, match="keys of 8388608 and more"):
        from_onnx(model(body, "float[N,1] x"))
    body = body.replace("k = Cast<to=7>(x)", "k = Identity(x)")
    compiled = im.InstructionModel(from_onnx(model(body, "int64[N,1] x")))
    np.testing.assert_array_equal(compiled.predict([[1 << 23], [1], [2]]), [[2], [1], [0]])


# The nodes, and whether a key outside of the table is an error.
GRAPHS = {
    "Cast": ("k = Cast<to=7>(x) g = Gather(T, k) y = Flatten(g)", True),
    "Cast to int32": ("k = Cast<to=6>(x) g = Gather(T, k) y = Flatten(g)", True),
    "Cast and back": (
        "a = Cast<to=7>(x) b = Cast<to=1>(a) k = Cast<to=6>(b) g = Gather(T, k) y = Flatten(g)",
        True,
    ),
    "Cast and Add": ("k = Cast<to=7>(x) s = Add(k, o) g = Gather(T, s) y = Flatten(g)", True),
    "OneHotEncoder": (
        "h = ai.onnx.ml.OneHotEncoder<cats_int64s=[0, 1, 4]>(x) y = Flatten(h)",
        False,
    ),
    "LabelEncoder of floats": (
        "y = ai.onnx.ml.LabelEncoder<keys_floats=[1.0, 3.0], values_floats=[0.5, 0.7], "
        "default_float=-2.0>(x)",
        False,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_key_loses_its_fraction_as_in_onnx_runtime(name):
    body, strict = GRAPHS[name]
    source = model(body, "float[N,3] x", T=array(22, 2), o=ints(*OFFSETS))
    info = from_onnx(source)
    rows = fractional_rows()
    assert_same(info, rows, run_onnx(source, rows))
    outside = np.array([[25.5] * 3, [-1] * 3, [np.nan] * 3], np.float32)
    scores = im.InstructionModel(info).predict(outside)
    if strict:
        assert np.isnan(scores).any(axis=1).all()
    else:
        np.testing.assert_array_equal(scores, run_onnx(source, outside))


def test_keys_of_two_tables_are_drawn_from_both():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Embedding(900, 1), nn.Embedding(3, 1)

        def forward(self, x):
            return self.wide(x[:, 0]) + self.narrow(x[:, 0])

    info = from_torch(Both(), torch.zeros(2, 1, dtype=torch.long))
    assert set(np.array(info.validation_data.inputs)[:, 0]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16])
def test_conversions_that_wrap_are_refused(kind):
    module = Lookups(lambda m, x: x.to(kind).long())
    with pytest.raises(im.UnsupportedModelError, match="a conversion to torch"):
        from_torch(module, NOT_WHOLE)
