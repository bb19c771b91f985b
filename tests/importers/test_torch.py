"""PyTorch modules are imported as what they are, or refused with all reasons."""

import threading
import warnings

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")

import torch
from support.sources import ROWS, assert_same
from torch import nn
from torch.nn import functional as F

from instmodel.importers.torch import from_torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export


class Formula(nn.Module):
    """A module of one function of its inputs and of some parameters."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def norm(size):
    """Return a batch norm that has seen data."""
    layer = nn.BatchNorm1d(size)
    with torch.no_grad():
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.5, 2)
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer


FLOATS, IDS = torch.zeros(2, 6), torch.zeros(2, 2, dtype=torch.long)


def changed_in_place(m, x):
    y = x.clone()
    y[:, 0] = y[:, 1] * 2
    y[:, [2, 4]] = 0.5
    y[y < -1] = -1.0
    return y.mul_(3)


# name: (module, example inputs)
SUPPORTED = {
    "linear": lambda: nn.Linear(6, 3),
    "no bias": lambda: nn.Linear(6, 3, bias=False),
    "layers": lambda: nn.Sequential(
        nn.Linear(6, 8), norm(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(-1)
    ),
    **{
        activation.__name__ if isinstance(activation, type) else str(activation): (
            lambda activation=activation: nn.Sequential(
                nn.Linear(6, 5), activation() if isinstance(activation, type) else activation
            )
        )
        for activation in (
            *(nn.ReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU),
            *(nn.LeakyReLU, nn.PReLU, nn.Softplus, nn.LogSigmoid, nn.Hardtanh, nn.ReLU6),
            *(nn.Hardsigmoid, nn.Hardswish, nn.Identity, nn.GELU("tanh"), nn.Softplus(2.0)),
        )
    },
    "gated": lambda: nn.Sequential(nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 1), nn.Sigmoid()),
    "residual": lambda: Formula(
        lambda m, x: m.b(torch.relu(m.a(x)) + x) * x - 0.5 * x, a=nn.Linear(6, 6), b=norm(6)
    ),
    "slices, clamp and sum": lambda: Formula(
        lambda m, x: torch.cat([x[:, 1:3].clamp(-0.5, 0.5), x[:, ::2].sum(1, keepdim=True)], 1)
    ),
    "selection": lambda: Formula(
        lambda m, x: torch.stack([x[:, 3], x[:, 0] * x[:, 5], x[:, [1, 2]].mean(1)], 1)
    ),
    "arithmetic": lambda: Formula(
        lambda m, x: (1 - x) / 4 + x**2 - torch.abs(x).clamp(min=0.1) + torch.rsub(x, 2)
    ),
    "logarithm and root of what is positive": lambda: Formula(
        lambda m, x: torch.log1p(torch.relu(x)) + torch.sqrt(x.clamp(min=0.25))
    ),
    "heads": lambda: Formula(
        lambda m, x: (x.view(-1, 2, 3) * m.gate(x).unsqueeze(-1)).flatten(1), gate=nn.Linear(6, 2)
    ),
    "a layer for each row": lambda: Formula(
        lambda m, x: m.layer(x.reshape(x.shape[0], 3, 2)).transpose(1, 2).flatten(1),
        layer=nn.Linear(2, 4),
    ),
    "pairs of two axes": lambda: Formula(
        lambda m, x: x.view(-1, 2, 3)[:, m.first, m.second],
        first=torch.tensor([1, 0, 1]),
        second=torch.tensor([2, 2, 0]),
    ),
    "chunks": lambda: Formula(
        lambda m, x: torch.cat([part.tanh() for part in x.chunk(2, 1)[::-1]] + [x], dim=-1)
    ),
    "a product with a vector": lambda: Formula(
        lambda m, x: torch.stack([x @ m.v, x.mv(m.v)], 1), v=nn.Parameter(torch.randn(6))
    ),
    "constants of constants": lambda: Formula(
        lambda m, x: m.layer(x) * torch.softmax(m.p.sin(), 0) + torch.arange(5).flip(0),
        layer=nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)),
        p=nn.Parameter(torch.randn(5)),
    ),
    "norms": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.RMSNorm(8), nn.GroupNorm(2, 8)
    ),
    "a norm of each row": lambda: Formula(
        lambda m, x: m.norm(x.view(-1, 2, 3)).flatten(1), norm=nn.LayerNorm(3, eps=0.01)
    ),
    "a norm of groups of channels": lambda: Formula(
        lambda m, x: m.norm(x.view(-1, 2, 3)).flatten(1), norm=nn.GroupNorm(2, 2, eps=0.01)
    ),
    "a norm by hand": lambda: Formula(
        lambda m, x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    ),
    "products of computed values": lambda: Formula(
        lambda m, x: torch.cat(
            [
                (x.view(-1, 3, 2) @ m.a(x).view(-1, 2, 4)).flatten(1),
                torch.bmm(x.view(-1, 1, 6), m.b(x).view(-1, 6, 1)).flatten(1),
                torch.einsum("bij,bkj->bik", x.view(-1, 3, 2), x.view(-1, 3, 2)).flatten(1),
            ],
            1,
        ),
        a=nn.Linear(6, 8),
        b=nn.Linear(6, 6),
    ),
    "products with constants": lambda: Formula(
        lambda m, x: torch.cat(
            [
                (m.left @ x.view(-1, 3, 2)).flatten(1),
                torch.einsum("bki,kio->bko", x.view(-1, 2, 3), m.heads).flatten(1),
                torch.einsum("bi,io->bo", x, m.right),
            ],
            1,
        ),
        left=nn.Parameter(torch.randn(4, 3)),
        heads=nn.Parameter(torch.randn(2, 3, 4)),
        right=nn.Parameter(torch.randn(6, 2)),
    ),
    "attention": lambda: Formula(
        lambda m, x: F.scaled_dot_product_attention(
            *(layer(x.view(-1, 3, 2)) for layer in (m.q, m.k, m.v))
        ).flatten(1),
        **{name: nn.Linear(2, 4) for name in "qkv"},
    ),
    "moved numbers": lambda: Formula(
        lambda m, x: torch.cat(
            [
                torch.column_stack([x[:, 0], x.flip(1)[:, :2]]),
                x[:, :2].repeat(1, 3),
                x.new_zeros(x.shape[0], 2) + torch.ones_like(x[:, :2]),
            ],
            1,
        )
    ),
    "functions": lambda: Formula(
        lambda m, x: (
            torch.addcmul(x, torch.square(x), torch.expm1(x.clamp(-3, 3)), value=0.5)
            + torch.log(x.abs() + 0.5)
            + torch.log(x.clamp(min=1e-6))
            + torch.log(1 + x**2)
        )
    ),
    "comparisons": lambda: Formula(
        lambda m, x: torch.cat(
            [
                x * (x > 0.3) + (x[:, :1] <= x).float(),
                (x >= 0).int() * 2.0 - (x < -1).to(torch.float32) + (x.sign() != 1).long(),
                ((x > 0) & (x < 1) | ~(x.sign() == -1)).unsqueeze(1).float().flatten(1),
            ],
            1,
        )
    ),
    "choices": lambda: Formula(
        lambda m, x: torch.cat(
            [
                torch.where(x > 0.5, x**2, -1.0),
                torch.where(torch.tensor([True, False] * 3), x, x.flip(1)),
                x.masked_fill(x.abs() < 0.2, 3.0),
                torch.maximum(x, x.flip(1)) - torch.minimum(x[:, :1], x),
                torch.maximum(x, torch.zeros(6)),
            ],
            1,
        )
    ),
    "the logarithm of a softmax": lambda: nn.Sequential(nn.Linear(6, 5), nn.LogSoftmax(-1)),
    "a constant": lambda: Formula(lambda m, x: x + torch.tensor([1.0, 2, 3, 4, 5, 6])),
    "a step": lambda: Formula(lambda m, x: (x > 0.5).float() * x),
    "changes in place": lambda: Formula(changed_in_place),
    "the number of rows as a size": lambda: Formula(
        lambda m, x: m.layer(torch.cat([m.first.expand(len(x), 1), x], 1)),
        first=nn.Parameter(torch.randn(1, 1)),
        layer=nn.Linear(7, 2),
    ),
    "a transposed batch": lambda: Formula(
        lambda m, x: (m.layer(x).t() * 2).contiguous().t(), layer=nn.Linear(6, 2)
    ),
    "two samples as one batch": lambda: Formula(
        lambda m, x: torch.sub(*m.layer(torch.cat([x[:, :3], x[:, 3:]])).chunk(2)),
        layer=nn.Linear(3, 2),
    ),
    "recurrent layers": lambda: Formula(
        lambda m, x: m.b(m.a(x.view(-1, 3, 2))[0])[0].flatten(1),
        a=nn.GRU(2, 3, batch_first=True),
        b=nn.LSTM(3, 2, batch_first=True),
    ),
}
EMBEDDINGS = {
    "embedding": lambda: Formula(
        lambda m, x, ids: m.out(torch.cat([x, m.table(ids).flatten(1)], 1)).sigmoid(),
        table=nn.Embedding(7, 3),
        out=nn.Linear(12, 1),
    ),
    "sum of embeddings": lambda: Formula(
        lambda m, x, ids: m.table(ids).sum(1) + m.out(x),
        table=nn.Embedding(7, 3),
        out=nn.Linear(6, 3),
    ),
}


def test_missing_values_are_replaced():
    module = Formula(
        lambda m, x: torch.cat(
            [
                torch.nan_to_num(x, nan=-2.0),
                torch.where(torch.isnan(x), m.fill, x),
                torch.isnan(x).float(),
            ],
            1,
        ),
        fill=nn.Parameter(torch.randn(6)),
    )
    rows = many_rows(0)
    rows[np.random.default_rng(1).uniform(size=rows.shape) < 0.3] = np.nan
    with torch.no_grad():
        expected = module(torch.tensor(rows)).numpy()
    assert_same(from_torch(module, FLOATS), rows, expected)


WITH_GAPS = {
    "comparisons": lambda m, x: torch.stack([x > 0, x >= 0, x != 0, x == 0, ~(x < 1)], 1).float(),
    "booleans beside numbers": lambda m, x: (
        torch.cat([x > 0, x.relu(), x.relu().any(1, True)], 1) * 2
    ),
    "a sign": lambda m, x: x.sign() + 2 * torch.sgn(x.flip(1)),
    "a branch that is not taken": lambda m, x: torch.where(x > 0.1, x.log() / x, -1.0),
    "a mask": lambda m, x: x.masked_fill(torch.isnan(x), 0.25) + x.nan_to_num(1.0),
    "a mean of what is there": lambda m, x: torch.nanmean(x, 1, keepdim=True),
    "bins": lambda m, x: (
        torch.bucketize(x, m.edges).float() + torch.searchsorted(m.edges, x, right=True)
    ),
    "scores that a mask hides": lambda m, x: x.masked_fill(
        torch.isnan(x) | (x > 0), -torch.inf
    ).softmax(1),
    "attention without what is missing": lambda m, x: F.scaled_dot_product_attention(
        *[x.nan_to_num(0.0).view(-1, 6, 1)] * 3, attn_mask=~torch.isnan(x).unsqueeze(1)
    ),
}


@pytest.mark.parametrize("name", WITH_GAPS)
def test_nan_becomes_what_it_becomes_in_pytorch(name):
    module = Formula(WITH_GAPS[name], edges=torch.tensor([-1.0, 0.0, 0.5]))
    rows = many_rows(0)
    rows[np.random.default_rng(1).uniform(size=rows.shape) < 0.3] = np.nan
    rows[np.random.default_rng(2).uniform(size=rows.shape) < 0.1] = 0
    with torch.no_grad():
        expected = module(torch.tensor(rows)).flatten(1).numpy()
    actual = im.InstructionModel(from_torch(module, FLOATS)).predict(rows)
    np.testing.assert_allclose(actual, expected.reshape(actual.shape), rtol=1e-5, atol=1e-5)


class FactorizationMachine(nn.Module):
    """The part of a DeepFM that its published code shares with Wide & Deep."""

    def __init__(self, sizes):
        super().__init__()
        self.offsets = np.array((0, *np.cumsum(sizes)[:-1]), dtype=np.int64)
        self.embedding, self.linear = nn.Embedding(sum(sizes), 4), nn.Embedding(sum(sizes), 1)

    def forward(self, x):
        x = x + x.new_tensor(self.offsets).unsqueeze(0)
        rows = self.embedding(x)
        pairs = (rows.sum(1) ** 2 - (rows**2).sum(1)).sum(1, keepdim=True)
        return torch.sigmoid((self.linear(x).sum(1) + 0.5 * pairs).squeeze(1))


class Interaction(nn.Module):
    """A small DLRM: the products of all pairs of embeddings."""

    def __init__(self):
        super().__init__()
        self.bottom, self.top = nn.Linear(6, 4), nn.Linear(7, 1)
        self.tables = nn.ModuleList([nn.Embedding(7, 4), nn.Embedding(9, 4)])
        self.pairs = torch.tril_indices(3, 3, offset=-1)

    def forward(self, x, ids):
        dense = self.bottom(x).relu()
        rows = torch.stack([dense, *(t(ids[:, i]) for i, t in enumerate(self.tables))], 1)
        products = torch.bmm(rows, rows.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        return self.top(torch.cat([dense, products], 1))


def test_recommenders_are_imported_without_a_sample():
    rng = np.random.default_rng(2)
    ids = np.stack([rng.integers(0, size, ROWS) for size in (5, 40, 7)], 1)
    module = FactorizationMachine((5, 40, 7))
    with torch.no_grad():
        expected = module(torch.tensor(ids)).numpy()
    assert_same(from_torch(module, torch.zeros(2, 3).long()), ids.astype(np.float32), expected)
    module, rows = Interaction(), many_rows(2)
    with torch.no_grad():
        expected = module(torch.tensor(rows[:, :6]), torch.tensor(rows[:, 6:]).long()).numpy()
    assert_same(from_torch(module, (FLOATS, IDS)), rows, expected)


def many_rows(keys):
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(ROWS, 6)).astype(np.float32)
    return np.c_[rows, rng.integers(0, 7, (ROWS, keys))].astype(np.float32)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_module_is_imported_as_what_it_is(name):
    module = SUPPORTED[name]()
    info = from_torch(module, FLOATS)
    rows = many_rows(0)
    with torch.no_grad():
        assert_same(info, rows, module.eval()(torch.tensor(rows)).flatten(1).numpy())
    assert info.validation_data is not None


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_take_whole_numbers(name):
    module = EMBEDDINGS[name]()
    info = from_torch(module, (FLOATS, IDS))
    rows = many_rows(2)
    with torch.no_grad():
        expected = module(torch.tensor(rows[:, :6]), torch.tensor(rows[:, 6:]).long())
    assert_same(info, rows, expected.numpy())
    assert "MAP_TRANSFORM" in {item.TYPE for item in info.instructions}


def test_keys_may_be_columns_of_floats():
    module = Formula(
        lambda m, x: torch.cat([x[:, :6], m.table(x[:, 7].long())], 1), table=nn.Embedding(7, 2)
    )
    info = from_torch(module, torch.zeros(2, 8))
    rows = many_rows(2)
    with torch.no_grad():
        assert_same(info, rows, module(torch.tensor(rows)).numpy())


def test_a_table_for_many_keys_is_kept_once():
    info = from_torch(EMBEDDINGS["embedding"](), (FLOATS, IDS))
    assert [item.TYPE for item in info.instructions].count("MAP_TRANSFORM") == 2
    assert len(info.maps) == 1
    info = from_torch(SUPPORTED["a layer for each row"](), FLOATS)
    assert [item.TYPE for item in info.instructions].count("DOT") == 3
    assert len(info.weights) == len(info.bias) == 1


def test_layers_become_one_instruction_each():
    info = from_torch(SUPPORTED["layers"](), FLOATS, features=list("abcdef"))
    assert [item.TYPE for item in info.instructions] == ["DOT", "DOT"]
    assert info.features == list("abcdef")


def test_the_module_stays_as_it_is():
    module = nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)).train()
    from_torch(module, FLOATS[:1])
    assert module.training
    assert module[1].training


def test_integers_are_compared_on_integers():
    info = from_torch(Formula(lambda m, x: x * 2 + 1), torch.zeros(2, 6, dtype=torch.int64))
    assert np.all(np.array(info.validation_data.inputs) % 1 == 0)


UNSUPPORTED = {
    "operators": (lambda m, x: torch.sin(x) + torch.atan(x.cos()), ["sin", "cos", "atan"]),
    "a softplus with an edge": (lambda m, x: F.softplus(x, 1.0, 2.0), ["threshold=2"]),
    "a sum over the batch": (lambda m, x: x + x.sum(0, keepdim=True), ["batch"]),
    "products over the batch": (lambda m, x: x.T @ x, ["along the batch", "an output of shape"]),
    "a diagonal": (lambda m, x: torch.einsum("bii->bi", x[:, :4].view(-1, 2, 2)), ["einsum"]),
    "sorting": (lambda m, x: torch.sort(x, dim=1)[0] + x.topk(1)[0], ["sort", "topk"]),
    "a place": (lambda m, x: x.max(1, keepdim=True)[1] + x, ["the place of an extreme number"]),
    "pairs of rows": (lambda m, x: x @ x.T, ["pairs of samples", "an output of shape"]),
    "a softmax over the batch": (lambda m, x: x.softmax(0) + x.cumsum(0), ["along the batch"] * 2),
    "a turned output": (lambda m, x: x.T, ["whose rows are not the samples'"]),
    "one row of the batch": (lambda m, x: x + x[:1] + x[0], ["along the batch"] * 2),
    "the size of the batch": (lambda m, x: x / x.shape[0], ["the size of the batch"]),
    "places of the samples": (
        lambda m, x: x + torch.arange(x.shape[0]).unsqueeze(1),
        ["numbers that count the samples"],
    ),
    "a triangle with the batch": (lambda m, x: x.tril(), ["along the batch"]),
    "sums of integers": (
        lambda m, x: x.sum(1, True, dtype=torch.int64) + x.cumsum(1, dtype=torch.int64),
        ["a conversion to integers"],
    ),
    "a scatter that adds": (
        lambda m, x: x.scatter(1, torch.zeros_like(x, dtype=torch.int64), x, reduce="add"),
        ["reduce='add'"],
    ),
    "random numbers": (lambda m, x: x + torch.randn_like(x), ["random numbers"]),
    "what cannot be exported": (lambda m, x: x * (2 if x.sum() > 0 else 3), ["torch.export"]),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_one_error_lists_all_that_has_no_instructions(name):
    function, reasons = UNSUPPORTED[name]
    with pytest.raises(im.InstModelError) as caught:
        from_torch(Formula(function), FLOATS)
    assert caught.value.code == "unsupported_model"
    assert len(caught.value.pieces) == len(reasons)
    for reason, piece in zip(reasons, caught.value.pieces, strict=True):
        assert reason in piece


def test_pieces_behind_a_refused_one_are_listed_too():
    def function(m, x):
        return (F.softplus(torch.sin(x), 1.0, 2.0).topk(6)[0] + x.to(torch.bfloat16)).relu()

    with pytest.raises(im.UnsupportedModelError) as caught:
        from_torch(Formula(function), FLOATS)
    found = ["sin", "threshold=2", "topk", "a conversion to torch.bfloat16"]
    assert len(caught.value.pieces) == len(found)
    for reason, piece in zip(found, caught.value.pieces, strict=True):
        assert reason in piece


def several_outputs(make):
    return Formula(lambda m, x: make(m.layer(x), x.relu(), x.sin()), layer=nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("make", "choice", "parts"),
    [
        (lambda a, b, c: {"score": a, "other": (b, None, c)}, "score", [0]),
        (lambda a, b, c: {"score": a, "other": (b, None)}, ["other", "score"], [1, 0]),
        (lambda a, b, c: (a, None, b, c), 2, [1]),
        (lambda a, b, c: [a, b, c], [1, 0], [1, 0]),
        (lambda a, b, c: {"score": a}, None, [0]),
        (lambda a, b, c: (None, a), None, [0]),
    ],
)
def test_of_several_outputs_some_are_chosen(make, choice, parts):
    module = several_outputs(make)
    info = from_torch(module, FLOATS, output=choice)
    rows = many_rows(0)
    with torch.no_grad():
        x = torch.tensor(rows)
        found = [(module.layer(x), x.relu())[part] for part in parts]
    assert_same(info, rows, torch.cat(found, 1).numpy())


@pytest.mark.parametrize(
    ("choice", "code", "text"),
    [
        (None, "ambiguous_output", r"expected 'score', 'other', got 3 tensors"),
        ("scores", "invalid_type", r"no such output \(expected 'score', 'other', got 'scores'\)"),
        (0, "invalid_type", "no such output"),
        ([], "ambiguous_output", "several outputs"),
    ],
)
def test_a_choice_of_no_output_is_an_error(choice, code, text):
    module = several_outputs(lambda a, b, c: {"score": a, "other": (b, c)})
    with pytest.raises(im.InstModelError, match=text) as caught:
        from_torch(module, FLOATS, output=choice)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_modules_of_16_bits_compute_in_float32(kind):
    module = SUPPORTED["layers"]().to(kind).eval()
    info = from_torch(module, FLOATS.to(kind))
    assert next(module.parameters()).dtype == kind
    rows = many_rows(0)
    with torch.no_grad():
        assert_same(info, rows, module.float()(torch.tensor(rows)).numpy())


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        *((3, FLOATS), (nn.Linear(6, 1), None), (nn.Linear(6, 1), torch.zeros(()))),
        *((nn.Linear(6, 1), ()), (nn.Linear(6, 1), np.zeros((2, 6))), (nn.Linear(6, 1), [[1.0]])),
    ],
)
def test_what_is_no_module_or_no_batch_is_refused(module, inputs):
    with pytest.raises(im.InstModelError) as caught:
        from_torch(module, inputs)
    assert caught.value.code == "invalid_type"


class Locked(nn.Linear):
    def __init__(self):
        super().__init__(6, 1)
        self.lock = threading.Lock()


def test_a_module_that_cannot_be_copied_is_refused_with_the_reason():
    with pytest.raises(im.InstModelError, match=r"cannot be copied.*lock") as caught:
        from_torch(Locked(), FLOATS)
    assert caught.value.code == "invalid_type"


def test_a_keras_model_is_referred_to_its_own_importer():
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "torch":
        pytest.skip("with other backends, a Keras model is no module of PyTorch's")

    class Own(keras.Model):  # its copy would need a get_config
        def __init__(self, units):
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, x):
            return self.dense(x)

    for model in (Own(2), keras.Sequential([keras.layers.Dense(1)])):
        model(FLOATS)
        with pytest.raises(im.InstModelError, match="from_keras") as caught:
            from_torch(model, FLOATS)
        assert caught.value.code == "invalid_type"


def test_an_exported_file_is_loaded_only_when_trusted(tmp_path, capsys):
    from instmodel.cli import main

    module = SUPPORTED["layers"]().eval()
    shapes = ({0: torch.export.Dim.AUTO},)
    path, target = tmp_path / "model.pt2", tmp_path / "model.instmodel"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (FLOATS,), dynamic_shapes=shapes), path)
    assert main(["convert", str(path), str(target)]) == 2
    assert "untrusted_pickle" in capsys.readouterr().err
    assert main(["convert", str(path), str(target), "--trust-pickle"]) == 0
    rows = many_rows(0)
    with torch.no_grad():
        expected = module(torch.tensor(rows)).numpy()
    np.testing.assert_allclose(im.load(target).predict(rows), expected, atol=1e-5)


def test_a_program_with_a_fixed_batch_is_refused():
    program = torch.export.export(torch.nn.Linear(3, 1).eval(), (torch.zeros(2, 3),))
    with pytest.raises(im.UnsupportedModelError, match=r"the batch is fixed at 2: .*Dim\.AUTO"):
        from_torch(program)
