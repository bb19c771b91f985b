"""PyTorch modules of sequences, and of one step, become recurrent models; the zoo has many more."""

import numpy as np
import pytest

import instmodel as im

pytest.importorskip("torch")

import torch
from torch import nn

from instmodel.importers.torch import from_torch

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch.export

X = torch.zeros(2, 3, 4)


class Formula(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        for name, make in parts.items():
            setattr(self, name, make())

    def forward(self, *inputs):
        return self.function(self, *inputs)


def gru():
    return nn.GRU(4, 5, batch_first=True)


def score(**settings):
    """Import a GRU whose last step is scored."""
    module = Formula(lambda m, x: m.out(m.gru(x)[0][:, -1]), gru=gru, out=lambda: nn.Linear(5, 1))
    return module, from_torch(module, X, sequences=True, **settings)


def ragged(columns, *lengths):
    rng = np.random.default_rng(1)
    return [rng.normal(size=(length, columns)).astype(np.float32) for length in lengths]


def test_layers_become_what_the_builder_makes_of_their_weights():
    layer = gru()
    info = from_torch(Formula(lambda m, x: m.gru(x)[0], gru=lambda: layer), X, sequences=True)
    b = im.ModelBuilder()
    weights = [p.detach().numpy() for p in layer.parameters()]
    built = b.build(output=b.gru(b.input(4), *weights))
    assert info.feature_size == 4
    assert sorted(info.buffer_sizes) == sorted(built.buffer_sizes)
    kinds = [sorted(item.TYPE for item in each.instructions) for each in (info, built)]
    assert kinds[0] == kinds[1]
    given = ragged(4, 1, 40)
    found = (im.InstructionModel(each).predict_sequences(given) for each in (info, built))
    for one, other in zip(*found, strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-6)


def test_features_are_those_of_a_step_and_cases_are_sequences():
    _, info = score(features=["amount", "age", "place[2]"])
    model = im.InstructionModel(info)  # which holds it to the cases
    assert model.is_recurrent
    assert model.features == ["amount", "age", "place[2]"]
    assert info.validation_data.inputs
    assert all(item.ndim == 2 and item.shape[1] == 4 for item in info.validation_data.inputs)
    assert info.metadata["imported_from"] == "PyTorch"


def test_without_the_option_a_module_of_a_fixed_length_is_one_of_rows():
    module, _ = score()
    model = im.InstructionModel(from_torch(module, X))
    assert not model.is_recurrent
    assert model.feature_size == 12


def test_a_sample_of_ones_own_gives_the_cases():
    sample = ragged(4, 7, 7, 1, 12)
    before = [item.copy() for item in sample]
    _, info = score(sample=sample)
    for item in info.validation_data.inputs:
        assert any(np.array_equal(item, one) for one in sample)
    assert all(map(np.array_equal, sample, before))


def test_an_input_without_steps_is_the_same_for_all_of_them():
    module = Formula(
        lambda m, x, customer: m.out(torch.cat([m.gru(x)[1][-1], customer], 1)),
        gru=gru,
        out=lambda: nn.Linear(7, 1),
    )
    model = im.InstructionModel(from_torch(module, (X, torch.zeros(2, 2)), sequences=True))
    (steps,), customer = ragged(4, 20), np.float32([0.3, -1.2])
    rows = np.concatenate([steps, np.tile(customer, (20, 1))], axis=1)
    (actual,) = model.predict_sequences([rows])
    with torch.no_grad():
        for t in range(20):
            given = torch.from_numpy(steps[None, : t + 1]), torch.from_numpy(customer[None])
            assert abs(float(module(*given)) - actual[t, 0]) < 1e-5


def streaming(m, x, hidden, cell):
    out, (hidden, cell) = m.lstm(x, (hidden, cell))
    return m.out(out), hidden, cell


def streamed():
    return Formula(
        streaming,
        lstm=lambda: nn.LSTM(4, 5, 2, batch_first=True),
        out=lambda: nn.Linear(5, 1),
    )


def test_states_that_are_given_and_returned_are_those_of_the_model():
    module, zeros = streamed(), torch.zeros(2, 2, 5)
    states = {"inputs_1": 1, 2: 2}
    info = from_torch(module, (X, zeros, zeros), sequences=True, states=states)
    model = im.InstructionModel(info)
    assert model.state_size == 20  # h of both layers, then c
    rng = np.random.default_rng(2)
    held = [rng.normal(size=(2, 1, 5)).astype(np.float32) for _ in range(2)]
    state = np.concatenate([part.reshape(-1) for part in held])[None].copy()
    x = ragged(4, 9)[0]
    actual = model.predict_sequences([x], state=state)[0]
    with torch.no_grad():
        expected, *after = module(torch.from_numpy(x[None]), *map(torch.from_numpy, held))
    assert np.allclose(actual, expected[0], rtol=0, atol=1e-5)
    ends = torch.cat([part.reshape(-1) for part in after])
    assert np.allclose(state[0], ends, rtol=0, atol=1e-5)


def test_states_that_change_places_are_not_what_the_module_computes():
    zeros = torch.zeros(2, 2, 5)
    with pytest.raises(im.InstModelError) as caught:
        from_torch(streamed(), (X, zeros, zeros), sequences=True, states={1: 2, 2: 1})
    assert caught.value.code == "import_mismatch"


class Average(nn.Module):
    """A memory of one's own, in the names of a dictionary."""

    def forward(self, x, mean):
        mean = 0.9 * mean + 0.1 * x
        return {"ahead": x - mean, "mean": mean}


def test_one_step_may_be_an_exported_program():
    example = torch.zeros(2, 4), torch.zeros(2, 4)
    dynamic = {0: torch.export.Dim.AUTO}
    program = torch.export.export(Average(), example, dynamic_shapes=(dynamic, dynamic))
    model = im.InstructionModel(from_torch(program, states={"mean": "mean"}))
    x = ragged(4, 30)[0]
    mean = np.zeros(4)
    for row, actual in zip(x, model.predict_sequences([x])[0], strict=True):
        mean = 0.9 * mean + 0.1 * row
        assert np.allclose(actual, row - mean, rtol=0, atol=1e-5)


def test_an_exported_program_has_a_fixed_number_of_steps():
    program = torch.export.export(gru(), (X,))
    with pytest.raises(im.InstModelError, match=r"the torch\.nn\.Module itself"):
        from_torch(program, sequences=True)


@pytest.mark.parametrize(
    ("states", "sentence"),
    [({5: "mean"}, "no such input"), ({"mean": "other"}, "no such output")],
)
def test_states_are_inputs_and_outputs_of_the_module(states, sentence):
    with pytest.raises(im.InstModelError, match=sentence) as caught:
        from_torch(Average(), (torch.zeros(2, 4), torch.zeros(2, 4)), states=states)
    assert caught.value.code == "invalid_type"


def test_a_state_of_another_size_is_refused():
    module = Formula(lambda m, x, held: (x, torch.cat([held, x], 1)))
    with pytest.raises(im.InstModelError) as caught:
        from_torch(module, (torch.zeros(2, 4), torch.zeros(2, 3)), states={1: 1}, output=0)
    assert any("7 numbers for a state of 3" in piece for piece in caught.value.pieces)


def test_pytorch_is_as_it_was_afterwards():
    before = [getattr(torch._VF, name) for name in ("lstm", "gru", "rnn_tanh")]
    score()
    assert [getattr(torch._VF, name) for name in ("lstm", "gru", "rnn_tanh")] == before
    assert "lstm" not in vars(torch._VF)


@pytest.mark.parametrize(
    ("function", "piece"),
    [
        (lambda m, x: m.gru(x.flip(1))[0], "flip: an operation along the steps"),
        (lambda m, x: m.gru(x)[0].amax(1), "amax: an operation along the steps"),
        (lambda m, x: m.gru(x[:, ::2])[0], "some steps of a sequence"),
        (lambda m, x: m.gru(x)[0] @ m.gru(x)[0].mT, "pairs of steps"),
        (lambda m, x: m.gru(torch.cat([x, x], 1))[0][:, -1], "cat: an operation along the steps"),
        (
            lambda m, x: nn.functional.avg_pool1d(m.gru(x)[0].mT, 3, 1, 1).mT,
            "avg_pool1d: an operation along the steps",
        ),
        (lambda m, x: m.gru(x, x[:, 0, :1][None] * torch.ones(5))[0], "another step than the last"),
    ],
)
def test_what_looks_at_several_steps_is_refused(function, piece):
    with pytest.raises(im.InstModelError) as caught:
        from_torch(Formula(function, gru=gru), X, sequences=True)
    assert any(piece in each for each in caught.value.pieces), caught.value.pieces
