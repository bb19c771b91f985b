"""ONNX models are imported as what they are, or refused with all reasons; no file does harm."""

import contextlib
import warnings

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from support.onnx_graphs import GRAPHS, array, ints, made, model
from support.sources import ROWS, assert_same

from instmodel.importers.onnx import from_onnx, run_onnx


def many_rows(info, keys=()):
    """Return normal rows; the columns `keys` hold whole numbers."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(ROWS, im.InstructionModel(info).feature_size))
    rows[:, keys] = rng.integers(0, 7, (ROWS, len(keys)))
    return rows.astype(np.float32)


KEYS = {"an embedding": [0, 1], "an embedding of floats": [0], "LabelEncoder": [0, 1]}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_imported_as_what_it_is_and_goes_back(name):
    source = made(name)
    onnx.checker.check_model(source)
    info = from_onnx(source)
    rows = many_rows(info, KEYS.get(name, []))
    expected = run_onnx(source, rows)
    assert_same(info, rows, expected)


def test_layers_become_one_instruction_each():
    info = from_onnx(made("MatMul, Add, Relu"))
    assert [item.TYPE for item in info.instructions] == ["DOT"]
    assert info.features == ["x[4]"]
    info = from_onnx(made("attention"))
    assert [item.TYPE for item in info.instructions] == ["ATTENTION"]
    for name in ("Gelu of Erf", "Gelu of Erf, half first"):
        info = from_onnx(made(name))
        assert [item.TYPE for item in info.instructions] == ["COPY", "ACTIVATION"]


def test_features_may_be_named():
    assert from_onnx(made("Relu"), features=list("abcd")).features == list("abcd")
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(made("Relu"), features=["a"])
    assert caught.value.code == "feature_size_mismatch"


# ------------------------------------------------------------------------------ other exporters


def sklearn_models():
    pytest.importorskip("skl2onnx")
    from sklearn import linear_model, neural_network, preprocessing
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(5)
    x = rng.normal(size=(200, 4)) * 2 + 1
    two = (x.sum(axis=1) > 4).astype(int)
    three = np.digitize(x.sum(axis=1), [2, 6])

    def scaled(step):
        return make_pipeline(preprocessing.StandardScaler(), step)

    pairs = {
        "logistic": (scaled(linear_model.LogisticRegression()), two),
        "logistic, three classes": (scaled(linear_model.LogisticRegression()), three),
        "linear": (linear_model.Ridge(), x @ [1, 2, 3, 4]),
        "Poisson": (linear_model.PoissonRegressor(), np.digitize(x.sum(axis=1), [2, 6])),
        "network": (scaled(neural_network.MLPClassifier((6, 5), max_iter=30)), three),
        "network, two classes": (scaled(neural_network.MLPClassifier((6,), max_iter=30)), two),
        "network, regression": (
            scaled(neural_network.MLPRegressor(hidden_layer_sizes=(6,), max_iter=30)),
            x @ [1, 2, 3, 4],
        ),
        "scalers": (
            make_pipeline(
                preprocessing.MinMaxScaler(),
                preprocessing.MaxAbsScaler(),
                preprocessing.RobustScaler(),
            ),
            two,
        ),
    }
    return x, pairs


SKL2ONNX = (
    *(
        "logistic",
        "logistic, three classes",
        "linear",
        "Poisson",
        "network",
        "network, two classes",
    ),
    *("network, regression", "scalers"),
)


@pytest.mark.parametrize("name", SKL2ONNX)
@pytest.mark.filterwarnings("ignore")  # of the exporter, and of networks that stop early
def test_what_skl2onnx_exports_is_imported_and_goes_back(name):
    x, pairs = sklearn_models()
    from skl2onnx import to_onnx as export

    estimator, y = pairs[name]
    estimator.fit(x, y)
    source = export(estimator, x[:1].astype(np.float32))  # classifiers with a ZipMap
    info = from_onnx(source)
    rows = many_rows(info)
    predict = getattr(estimator, "predict_proba", None) or getattr(
        estimator, "predict", getattr(estimator, "transform", None)
    )
    assert_same(info, rows, predict(rows.astype(np.float64)))


def torch_models():
    """Return modules, each with the columns that hold whole numbers."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    nn = torch.nn

    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.dense = nn.Embedding(7, 3), nn.Linear(6, 1)

        def forward(self, x):
            return self.dense(torch.cat([self.table(x[:, 0].long()), x[:, 1:]], dim=1)).sigmoid()

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.gate = nn.Linear(4, 8), nn.Linear(4, 8)

        def forward(self, x):
            gated = self.hidden(x).tanh() * self.gate(x).softmax(dim=-1)
            return (gated.clamp(-0.5, 0.5) + 1).sum(dim=1, keepdim=True)

    classifier = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 3), nn.Dropout(), nn.Softmax(-1)
    )
    regressor = nn.Sequential(nn.Linear(4, 6), nn.ELU(), nn.Linear(6, 2), nn.Softplus())
    return {
        "classifier": (classifier, []),
        "regressor": (regressor, []),
        "embedded": (Embedded(), [0]),
        "gated": (Gated(), []),
    }


@pytest.mark.parametrize("name", ["classifier", "regressor", "embedded", "gated"])
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_what_torch_exports_is_imported_and_goes_back(name):
    network, keys = torch_models()[name]
    import torch

    network.eval()
    batch = torch.export.Dim("batch", min=2)
    program = torch.onnx.export(
        network, (torch.zeros(2, 4),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False
    )
    info = from_onnx(program.model_proto)
    rows = many_rows(info, keys)
    with torch.no_grad():
        assert_same(info, rows, network(torch.tensor(rows)).numpy())


# -------------------------------------------------------------------------------------- refusals

UNSUPPORTED = {
    "operators": (
        "a = Sin(x) b = Cos(a) c = Relu(b) y = Round(c)",
        {},
        ["Sin", "Cos", "Round"],
    ),
    "a product of buffers": ("t = Transpose<perm=[0,1]>(x) y = MatMul(x, t)", {}, ["MatMul"]),
    "a sum over the batch": ("y = ReduceSum(x, z)", {"z": ints(0)}, ["batch"]),
    "a division by zero": ("y = Div(x, z)", {"z": np.float32(0)}, ["by zero"]),
    "two of them, one unused": ("u = Sin(x) y = Cos(x)", {}, ["Cos"]),
    "text": ("y = Relu(x)", {"inputs": "string[N,4] x"}, ["input 'x'"]),
    "an unknown size": ("y = Relu(x)", {"inputs": "float[N,K] x"}, ["input 'x'"]),
    "a row for each sample": ("y = Add(x, p)", {"p": array(3, 4)}, ["each sample"]),
    "a batch that stays second": (
        "r = Reshape(x, s) t = Transpose<perm=[1,0,2]>(r) y = Relu(t)",
        {"s": ints(-1, 2, 2)},
        ["first axis is not the batch"],
    ),
    "a softmax over a moved batch": (
        "r = Reshape(x, s) t = Transpose<perm=[1,0,2]>(r) y = Softmax<axis=1>(t)",
        {"s": ints(-1, 2, 2)},
        ["along the batch"],
    ),
    "a sum behind a moved batch": (
        "r = Reshape(x, s) t = Transpose<perm=[1,0,2]>(r) y = ReduceSum(t, one)",
        {"s": ints(-1, 2, 2), "one": ints(1)},
        ["along the batch"],
    ),
    "batches in two places": (
        "r = Reshape(x, s) t = Transpose<perm=[1,0,2]>(r) y = Add(r, t)",
        {"s": ints(-1, 2, 2)},
        ["in other places"],
    ),
    "half a sample a row": ("y = Reshape(x, s)", {"s": ints(-1, 2)}, ["not the batch"]),
    "control flow": (
        "g = Greater(x, zero) y = If(g) <then_branch = a () => (float[N,4] t) { t = Relu(x) }, "
        "else_branch = b () => (float[N,4] e) { e = Tanh(x) }>",
        {"zero": np.float32(0)},
        ["If"],
    ),
    "what follows a refused node of a known shape": (
        "a = Sin(x) b = Round(a) c = ReduceSum(b, z) y = Transpose<perm=[1,0]>(c)",
        {"z": ints(0)},
        ["Sin", "Round", "along the batch", "not the batch"],
    ),
    "integers divided": (
        "y = Div(x, two)",
        {"two": ints(2), "inputs": "int64[N,4] x"},
        ["integers"],
    ),
    "a moved batch": ("y = Transpose<perm=[1,0]>(x)", {}, ["batch"]),
    "the mask of a dropout": ("z, y = Dropout(x)", {}, ["output 'y'"]),
    "trees": (
        'y = ai.onnx.ml.TreeEnsembleRegressor<n_targets=1, nodes_modes=["LEAF"]>(x)',
        {},
        ["TreeEnsembleRegressor"],
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_one_error_lists_all_that_has_no_instructions(name):
    body, arguments, reasons = UNSUPPORTED[name]
    arguments = dict(arguments)
    source = model(body, arguments.pop("inputs", "float[N,4] x"), **arguments)
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(source)
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == len(reasons)
    for reason, piece in zip(reasons, caught.value.pieces, strict=True):
        assert reason in piece


@pytest.mark.parametrize(("end", "step"), [(2**62, 2), (0, 1)])
def test_a_slice_that_leaves_out_samples_is_refused(end, step):
    source = model("y = Slice(x, s, e, a, t)", s=ints(0), e=ints(end), a=ints(0), t=ints(step))
    with pytest.raises(im.InstModelError, match="a Slice of the batch") as caught:
        from_onnx(source)
    assert caught.value.code == "unsupported_model"


def test_constants_may_be_cast_like_constants_of_another_shape():
    source = model("c = CastLike(p, q) y = Add(x, c)", p=ints(1, 2, 3, 4), q=array(3))
    rows = many_rows(from_onnx(source))
    assert_same(from_onnx(source), rows, rows + np.float32([1, 2, 3, 4]))


def test_rows_of_several_samples_are_an_error():
    with pytest.raises(im.InstModelError, match="first axis of the output is not the batch"):
        from_onnx(model("y = Reshape(x, s)", s=ints(2, -1)))


def test_integers_are_compared_on_integers():
    source = model("c = Cast<to=1>(x) y = Mul(c, c)", "int64[N,4] x")
    assert np.all(np.array(from_onnx(source).validation_data.inputs) % 1 == 0)


def test_several_outputs_need_a_choice():
    source = model("y = Relu(x) z = Tanh(x)")
    source.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, ["N", 4]))
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(source)
    assert caught.value.code == "ambiguous_output"
    rows = many_rows(from_onnx(source, output="z"))
    assert_same(from_onnx(source, output="z"), rows, np.tanh(rows))
    with pytest.raises(im.InstModelError, match="no such tensor"):
        from_onnx(source, output="q")


# ---------------------------------------------------------------------------------- hostile files


def huge_constant():
    source = model("y = Add(x, p)", p=array(4))
    source.graph.initializer[0].dims[:] = [10**12]
    return source


def negative_constant():
    source = model("y = Add(x, p)", p=array(4))
    source.graph.initializer[0].dims[:] = [-4]
    return source


def short_constant():
    source = model("y = Add(x, p)", p=array(4))
    source.graph.initializer[0].raw_data = b"abc"
    return source


def external_constant():
    source = model("y = Add(x, p)", p=array(4))
    onnx.external_data_helper.set_external_data(source.graph.initializer[0], "/etc/passwd")
    source.graph.initializer[0].ClearField("raw_data")
    return source


def doubled(times):
    body = "c0 = Concat<axis=1>(x, x) "
    body += " ".join(f"c{i + 1} = Concat<axis=1>(c{i}, c{i})" for i in range(times))
    return model(f"{body} y = Relu(c{times})")


def without(what):
    source = model("a = Relu(x) y = Tanh(a)")
    source.ClearField(what) if what == "opset_import" else source.graph.ClearField(what)
    return source


def swapped():
    source = model("a = Relu(x) y = Tanh(a)")
    nodes = list(source.graph.node)[::-1]
    del source.graph.node[:]
    source.graph.node.extend(nodes)
    return source


def subgraph():
    source = model("y = Relu(x)")
    attribute = onnx.helper.make_attribute("then_branch", source.graph)
    source.graph.node[0].attribute.append(attribute)
    return source


HOSTILE = {
    "nothing": lambda: b"",
    "text": lambda: b"this is no model",
    "half a file": lambda: made("Gemm").SerializeToString()[:-40],
    "no nodes": lambda: without("node"),
    "no opset": lambda: without("opset_import"),
    "no outputs": lambda: without("output"),
    "no inputs": lambda: without("input"),
    "a huge constant": huge_constant,
    "a negative size": negative_constant,
    "a short constant": short_constant,
    "external data": external_constant,
    "a constant of any shape": lambda: model(
        "c = ConstantOfShape(s) m = MatMul(c, c) y = Add(x, m)", s=ints(10**6, 10**6)
    ),
    "a wide expansion": lambda: model("e = Expand(x, s) y = Relu(e)", s=ints(10**6, 10**4, 4)),
    "an outer sum": lambda: model(
        "s = Add(a, b) y = Add(x, s)", a=array(10**5, 1), b=array(1, 10**5)
    ),
    "a long range": lambda: model(
        "r = Range(z, n, o) c = Cast<to=1>(r) y = Add(x, c)",
        z=np.int64(0), n=np.int64(10**12), o=np.int64(1)),
    "a range without steps": lambda: model(
        "r = Range(z, z, z) c = Cast<to=1>(r) y = Add(x, c)", z=np.int64(0)),
    "a wide tile": lambda: model("y = Tile(x, n)", n=ints(1, 10**12)),
    "a tile of more axes": lambda: model("y = Tile(x, n)", n=ints(1, 10**12, 1, 1)),
    "a constant tile of more axes": lambda: model(
        "t = Tile(z, n) y = Add(x, t)", z=array(1), n=ints(10**12, 1)),
    "a table of elements": lambda: model(
        "i = ConstantOfShape<value: tensor = int64[1] {0}>(s) g = GatherElements<axis=0>(a, i) "
        "y = Add(x, g)", a=array(1, 10**6), s=ints(10**6, 1)),
    "a table of rows": lambda: model(
        "i = ConstantOfShape<value: tensor = int64[1] {0}>(s) g = GatherND(a, i) y = Add(x, g)",
        a=array(1, 10**6), s=ints(10**6, 1)),
    "a wide norm": lambda: model(
        "s = ConstantOfShape(n) g = LayerNormalization(a, s) y = Add(x, g)",
        a=array(1, 10**6), n=ints(10**6, 1)),
    "more than there is": lambda: model(
        "v, i = TopK(p, k) y = Add(x, v)", p=array(4), k=ints(10**9)),
    "numbers as text": lambda: model(
        "t = Cast<to=8>(p) c = Cast<to=1>(t) y = Add(x, c)", p=array(4)),
    "sums without end": lambda: model(
        "a = ConstantOfShape(s) " + " ".join(f"s{i} = ReduceSum(a)" for i in range(200))
        + " y = Sum(x, " + ", ".join(f"s{i}" for i in range(200)) + ")", s=ints(1000, 1000)),
    "an einsum that ONNX never understands": lambda: model(
        'e = Einsum<equation="i>>a">(x, x) y = Relu(e)'),
    "the same in a graph inside": lambda: model(
        'y = If<then_branch = g () => (float[N] z) {z = Einsum<equation="i>>a">(x, x)},'
        ' else_branch = h () => (float[N] z) {z = Einsum<equation="i>>a">(x, x)}>(b)',
        b=np.array(True)),
    "a wide pad": lambda: model("y = Pad(x, p)", p=ints(0, 0, 0, 10**12)),
    "a deep one-hot": lambda: model(
        "y = OneHot(x, d, v)", "int64[N,4] x", d=ints(10**9), v=np.float32([0, 1])),
    "doubling": lambda: doubled(40),
    "an index out of bounds": lambda: model("y = Gather<axis=1>(x, i)", i=ints(99)),
    "wrong types of attributes": lambda: model(
        'y = Gemm<transB="a", alpha=[1]>(x, W)', W=array(3, 4)),
    "missing inputs": lambda: model("y = Gemm(x)"),
    "nodes in a wrong order": swapped,
    "a graph inside": subgraph,
    "NaN in the weights": lambda: model("y = Mul(x, p)", p=np.float32("nan")),
    "an unknown domain": lambda: model("y = evil.domain.Run(x)"),
    "the weights' sizes do not fit": lambda: model("y = Gemm(x, W)", W=array(3, 5)),
    "a layer for each of many rows": lambda: model(
        "y = MatMul(x, W)", "float[N,100000,1] x", W=array(1, 1)),
    "a sum for each of many rows": lambda: model(
        "y = ReduceSum(x, one)", "float[N,100000,2] x", one=ints(1)),
    "many keys": lambda: model("y = Gather(T, x)", "int64[N,100000] x", T=array(2, 1)),
    "more than the buffers may hold": lambda: model(
        "e = Expand(z, s) y = Concat<axis=1>(e, x)", z=array(1, 1), s=ints(1, 5_000_000)),
    "a long chain": lambda: model("c0 = Relu(x) " + " ".join(
        f"c{i + 1} = Relu(c{i})" for i in range(20_001)) + " y = Relu(c20001)"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error(name, tmp_path):
    source = HOSTILE[name]()
    data = source if isinstance(source, bytes) else source.SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_errors_or_models(seed):
    rng = np.random.default_rng(seed)
    for name in list(GRAPHS)[seed::4]:
        data = bytearray(made(name).SerializeToString())
        for _ in range(8):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                damaged[place] = rng.integers(0, 256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(im.InstModelError):
                    im.InstructionModel(from_onnx(bytes(damaged)))


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(path)
    assert caught.value.code == "weight_limit_exceeded"


def test_data_outside_of_the_file_is_not_opened():
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(external_constant())
    assert caught.value.code == "external_data"


@pytest.mark.parametrize("sample", [np.zeros((2, 3)), np.zeros(4), np.zeros((0, 4))])
def test_a_sample_must_fit(sample):
    with pytest.raises(im.InstModelError) as caught:
        from_onnx(made("Relu"), sample=sample)
    assert caught.value.code == "input_size_mismatch"


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(im.InstModelError, match="a path, bytes or a ModelProto"):
        from_onnx(3)
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none.onnx")
