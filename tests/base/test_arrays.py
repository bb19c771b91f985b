"""What is no array of numbers to NumPy: told as what it is, with what to do."""

from __future__ import annotations

import numpy as np
import pytest

import instmodel as im

PREDICT = ["predict", "predict_parallel"]


@pytest.fixture
def model():
    b = im.ModelBuilder()
    return im.InstructionModel(b.build(output=b.dense(b.input(["a", "b"]), [[1.0, 10.0]])))


def refused(model, predict, x):
    with pytest.raises(im.InstModelError) as caught:
        getattr(model, predict)(x)
    assert isinstance(caught.value, ValueError)
    assert caught.value.code == "invalid_type"
    return str(caught.value)


TENSORS = {
    "requires grad": (lambda t: t.ones(2, 2, requires_grad=True), "pass x.detach(),"),
    "bfloat16": (
        lambda t: t.ones(2, 2, dtype=t.bfloat16),
        "pass x.float(), got a tensor of",
    ),
    "bfloat16 with grad": (
        lambda t: t.ones(2, 2, dtype=t.bfloat16, requires_grad=True),
        "pass x.detach().float(),",
    ),
    "sparse": (
        lambda t: t.eye(2).to_sparse(),
        "pass x.to_dense(), got a tensor of",
    ),
    "sparse rows": (lambda t: t.eye(2).to_sparse_csr(), "torch.sparse_csr"),
    "meta": (lambda t: t.ones(2, 2, device="meta"), "a meta tensor has none"),
    "complex": (lambda t: t.ones(2, 2, dtype=t.complex64).conj(), "resolve_conj"),
}


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")  # PyTorch's, of a beta state
@pytest.mark.parametrize("predict", PREDICT)
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_numpy_cannot_read(model, predict, name):
    torch = pytest.importorskip("torch")
    make, said = TENSORS[name]
    assert said in refused(model, predict, make(torch))


def test_tensors_that_numpy_can_read(model):
    torch = pytest.importorskip("torch")
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    for readable in (x.detach(), x.detach().half(), x.detach().bfloat16().float()):
        assert model.predict(readable).tolist() == [[21.0]]


@pytest.mark.parametrize("predict", PREDICT)
def test_masked_arrays_of_records(model, predict):
    x = np.ma.array([(1, 2)], dtype=[("a", "f4"), ("b", "f4")])
    assert "MaskedArray" in refused(model, predict, x)


@pytest.mark.parametrize("predict", PREDICT)
def test_sparse_matrices_and_mappings(model, predict):
    sparse = pytest.importorskip("scipy.sparse")
    assert "x.toarray()" in refused(model, predict, sparse.csr_matrix(np.eye(2)))
    assert "predict_one" in refused(model, predict, {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize("predict", PREDICT)
@pytest.mark.parametrize(
    "types",
    ["Float32", "Float64", "Int64", "UInt8", {"a": "Float32"}, {"a": "Int8", "b": "float32"}],
)
def test_columns_of_types_of_pandas(model, predict, types):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}).astype(types)
    assert np.asarray(getattr(model, predict)(frame)).tolist() == [[31.0], [42.0]]
    assert np.asarray(getattr(model, predict)(frame[:0])).shape == (0, 1)


@pytest.mark.parametrize("types", ["Float32", "Int64", {"a": "Float32", "b": "boolean"}])
def test_nulls_of_pandas_are_missing_values(model, types):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 1, None], "b": [1, None, 0]}).astype(types)
    np.testing.assert_array_equal(model.predict(frame), [[11.0], [np.nan], [np.nan]])


def test_columns_of_whole_numbers_stay_whole():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [2**53 + 1]}).astype("Int64")
    from instmodel.base.arrays import real_array

    assert real_array(frame).tolist() == [[2**53 + 1]]


@pytest.mark.parametrize("predict", PREDICT)
def test_a_frame_with_a_column_of_no_numbers_names_it(model, predict):
    pd = pytest.importorskip("pandas")
    for text in (
        pd.DataFrame({"a": [1.0], "b": ["2"]}).astype({"a": "Float32"}),
        pd.DataFrame({"a": [1.0], "b": ["2"]}),
        pd.DataFrame({"a": [1.0], "b": np.array([2.0], object)}),
        pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2026-01-01"])}),
    ):
        assert "column 'b' is of" in refused(model, predict, text)
