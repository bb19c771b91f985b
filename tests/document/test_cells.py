"""States of ModelBuilder, and its recurrent layers against those of PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import instmodel as im
from instmodel import reference

RNG = np.random.default_rng(0)
# Sequences of unequal length, one without steps.
SEQUENCES = [RNG.normal(0, 1, (length, 3)).astype(np.float32) for length in (4, 0, 1, 7)]


def outputs(info, sequences=SEQUENCES, state=None):
    im.InstructionModel(info)  # which checks it
    return reference.predict_sequences(info, sequences, state)[0]


def kinds(info):
    return [item.TYPE for item in info.instructions]


# ------------------------------------------------------------------------------------- states


def test_a_state_holds_what_the_step_before_left():
    b = im.ModelBuilder()
    x = b.input(3)
    total = b.state(3, initial=[1.0, 2.0, 3.0])
    b.set_state(total, x + total)
    info = b.build(output=total)
    for steps, got in zip(SEQUENCES, outputs(info), strict=True):
        before = np.cumsum(np.vstack([[1.0, 2.0, 3.0], steps]), axis=0)[:-1]
        np.testing.assert_allclose(got, before, rtol=1e-6)


def test_a_number_is_initial_for_all_values():
    b = im.ModelBuilder()
    x = b.input(3)
    held = b.state(3, initial=-1.5)
    b.set_state(held, x)
    info = b.build(output=held)
    assert outputs(info)[2].tolist() == [[-1.5, -1.5, -1.5]]
    assert [item.to_dict() for item in info.state] == [{"buffer": 1, "initial": 0}]


def test_what_needs_no_copy_has_none():
    def rnn(b, x, h):
        return b.dense(b.concatenate([x, h]), np.ones((3, 6)), activation="TANH")

    for tell, expected in (
        (rnn, ["COPY", "COPY", "DOT"]),
        (lambda b, x, h: h * 0.5 + x, ["MUL_ELEMENTWISE", "ADD_ELEMENTWISE_BUFFERS"]),
        (lambda b, x, h: b.activation(x + h, "TANH"), ["ADD_ELEMENTWISE_BUFFERS", "ACTIVATION"]),
        (lambda b, x, h: x, ["COPY"]),
    ):
        b = im.ModelBuilder()
        x, h = b.input(3), b.state(3)
        new = tell(b, x, h)
        b.set_state(h, new)
        info = b.build(output=b.reduce_sum(h if new is x else new))
        assert [kind for kind in kinds(info) if kind != "REDUCE_SUM"] == expected
        outputs(info)


def test_states_that_change_places():
    b = im.ModelBuilder()
    x = b.input(3)
    first, second, third = b.state(3, initial=1.0), b.state(3, initial=2.0), b.state(3)
    b.set_state(first, second)
    b.set_state(second, first)
    b.set_state(third, x)
    info = b.build(output=b.concatenate([first, second, third]))
    got = outputs(info)[0]
    assert got[:, 0].tolist() == [1.0, 2.0, 1.0, 2.0]
    assert got[:, 3].tolist() == [2.0, 1.0, 2.0, 1.0]
    np.testing.assert_array_equal(got[:, 6:], np.vstack([np.zeros(3), SEQUENCES[0][:-1]]))


def test_a_line_of_states_needs_no_copy_but_its_own():
    b = im.ModelBuilder()
    line = [b.input(3), *(b.state(3) for _ in range(4))]
    for value, state in itertools.pairwise(line):
        b.set_state(state, value)
    info = b.build(output=b.concatenate(line))
    assert kinds(info) == ["COPY"] * (5 + 4)
    got = outputs(info)[0]
    np.testing.assert_array_equal(got[3], SEQUENCES[0][::-1].ravel().tolist() + [0.0] * 3)


def test_a_state_as_the_output():
    b = im.ModelBuilder()
    x, h = b.input(3), b.state(3)
    new = b.activation(x + h, "TANH")
    b.set_state(h, new)
    info = b.build(output=new)
    assert [item.buffer for item in info.state] == [len(info.buffer_sizes) - 1]
    np.testing.assert_allclose(outputs(info)[2], np.tanh(SEQUENCES[2]), rtol=1e-6)


TWO = np.array([0.5, -0.25])
# Each makes a value of two others, and says what that is.
CHOICES = (
    ("activation", lambda b, p, q: b.activation(p, "TANH"), lambda p, q: np.tanh(p)),
    ("inverse", lambda b, p, q: b.activation(p, "INVERSE"), lambda p, q: 1 - p),
    ("shift", lambda b, p, q: p + TWO, lambda p, q: p + TWO),
    ("sum", lambda b, p, q: p + q, lambda p, q: p + q),
    ("product", lambda b, p, q: p * q, lambda p, q: p * q),
    ("heads", lambda b, p, q: b.add_heads(p, q), lambda p, q: p + q),
    (
        "dense",
        lambda b, p, q: b.dense(p, [[0.5, -0.5], [0.25, 0.5]]),
        lambda p, q: np.array([0.5 * p[0] - 0.5 * p[1], 0.25 * p[0] + 0.5 * p[1]]),
    ),
    ("copy", lambda b, p, q: b.copy(p), lambda p, q: p),
    ("swap", lambda b, p, q: b.copy_masked(p, [1, 0]), lambda p, q: p[::-1]),
    (
        "half",
        lambda b, p, q: b.copy(b.copy_masked(p, [0]), size=2, at=1),
        lambda p, q: np.array([0.0, p[0]]),
    ),
    ("constant", lambda b, p, q: b.constant([0.5, 0.75]), lambda p, q: np.array([0.5, 0.75])),
)


@given(st.data())
def test_values_are_what_they_are_wherever_they_are_put(data):
    count = data.draw(st.integers(1, 3))
    b = im.ModelBuilder()
    handles = [b.input(2)] + [b.state(2, initial=0.25 * i) for i in range(count)]
    steps, following, read = [], {}, set()
    unset = data.draw(st.permutations(range(1, count + 1)))

    def set_one():
        state = unset.pop()
        others = [i for i in range(len(handles)) if i != state]  # which would be never written
        following[state] = data.draw(st.sampled_from(others))
        b.set_state(handles[state], handles[following[state]])

    for _ in range(data.draw(st.integers(1, 12))):
        name, tell, compute = data.draw(st.sampled_from(CHOICES))
        first, second = data.draw(st.tuples(*[st.integers(0, len(handles) - 1)] * 2))
        pair = {first, second}
        handles.append(tell(b, handles[first], handles[second]))
        steps.append((compute, first, second))
        read |= {"constant": set(), "sum": pair, "product": pair, "heads": pair}.get(name, {first})
        if unset and data.draw(st.booleans()):
            set_one()
    while unset:
        set_one()
    chosen = data.draw(st.lists(st.integers(0, len(handles) - 1), min_size=1, max_size=3))
    read |= {*chosen, *following.values()}
    chosen += sorted(set(range(1, count + 1)) - read)  # a state that nothing reads is refused
    one = len(chosen) == 1 and data.draw(st.booleans())
    parts = [handles[i] for i in chosen]
    info = b.build(output=parts[0] if one else b.concatenate(parts))
    x = np.random.default_rng(0).normal(0, 1, (5, 2)).astype(np.float32)
    state = [np.full(2, 0.25 * i) for i in range(count)]
    expected = []
    for row in x:
        found = [row.astype(float), *state]
        for compute, first, second in steps:
            found.append(compute(found[first], found[second]))
        expected.append(np.concatenate([found[i] for i in chosen]))
        state = [found[following[i]] for i in range(1, count + 1)]
    np.testing.assert_allclose(outputs(info, [x])[0], expected, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------------- layers


class _Source:
    """A recurrent module of PyTorch with random weights, and the same model from the builder."""

    def __init__(self, name, layers, bias, features, hidden, seed, **options):
        torch = pytest.importorskip("torch")
        torch.manual_seed(seed)
        self.torch, self.layers, self.hidden, self.name = torch, layers, hidden, name
        self.module = getattr(torch.nn, name)(
            features, hidden, layers, bias=bias, batch_first=True, **options
        )
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.mul_(2.0)  # saturates here and there

    def build(self, initial=None):
        """Return the document; `initial` are (layers, hidden) of h, and of c where there is one."""
        b = im.ModelBuilder()
        x = b.input(self.module.input_size)
        add = getattr(b, self.name.lower())
        options = {"nonlinearity": self.module.nonlinearity} if self.name == "RNN" else {}
        for layer in range(self.layers):
            if initial is not None:
                first = [part[layer] for part in initial]
                options["initial"] = tuple(first) if self.name == "LSTM" else first[0]
            weights = [
                None if item is None else item.detach().numpy()
                for item in (
                    getattr(self.module, f"{kind}_l{layer}", None)
                    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                )
            ]
            x = add(x, *weights, **options)
        return b.build(output=x)

    def outputs(self, steps, initial=None):
        torch = self.torch
        state = None
        if initial is not None:
            state = tuple(torch.tensor(part, dtype=torch.float32) for part in initial)
            state = state if self.name == "LSTM" else state[0]
        with torch.no_grad():
            return self.module(torch.tensor(steps), state)[0].numpy()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RNN", {}),
        ("RNN", {"nonlinearity": "relu"}),
        ("GRU", {}),
        ("LSTM", {}),
    ],
)
def test_a_layer_is_that_of_pytorch(name, options, layers, bias):
    rng = np.random.default_rng([layers, bias, len(name)])
    features, hidden = rng.integers(1, 20, 2).tolist()
    source = _Source(name, layers, bias, features, hidden, seed=layers, **options)
    if options:  # which would grow from step to step
        with source.torch.no_grad():
            for parameter in source.module.parameters():
                parameter.mul_(0.5 / max(1.0, float(source.torch.linalg.norm(parameter))))
    sequences = [rng.normal(0, 1, (n, features)).astype(np.float32) for n in (1, 30, 7)]
    parts = 2 if name == "LSTM" else 1
    initial = rng.normal(0, 1, (parts, layers, hidden)).astype(np.float32)
    for first in (None, initial):
        info = source.build(first)
        engine = im.InstructionModel(info).predict_sequences(sequences)
        for steps, exact, got in zip(sequences, outputs(info, sequences), engine, strict=True):
            expected = source.outputs(steps, first)
            np.testing.assert_allclose(exact, expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def layer(name, hidden=2, features=3, rows=None, initial=None):
    b = im.ModelBuilder()
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[name]
    rows = gates * hidden if rows is None else rows
    weights = RNG.normal(size=(rows, features)), RNG.normal(size=(rows, hidden))
    return b.build(output=getattr(b, name)(b.input(features), *weights, initial=initial))


@pytest.mark.parametrize(
    ("name", "instructions"),
    [
        ("rnn", "COPY COPY DOT"),
        (
            "gru",
            "COPY COPY DOT DOT DOT DOT MULTIPLY ADD ACTIVATION MULTIPLY ACTIVATION MULTIPLY ADD",
        ),
        (
            "lstm",
            "COPY COPY DOT DOT DOT DOT MULTIPLY MULTIPLY ADD COPY ACTIVATION MULTIPLY",
        ),
    ],
)
def test_the_instructions_of_a_layer(name, instructions):
    assert [kind.partition("_")[0] for kind in kinds(layer(name))] == instructions.split()


def test_initial_values_of_one_of_the_two_states_of_an_lstm():
    info = layer("lstm", initial=(None, [1.0, 2.0]))
    assert [item.initial for item in info.state] == [None, 0]
    assert layer("lstm", initial=(0.5, None)).parameters[0].tolist() == [0.5, 0.5]


# ------------------------------------------------------------------------------------- mistakes


def builder():
    b = im.ModelBuilder()
    return b, b.input(3), b.state(3)


def without_next():
    b, _, h = builder()
    b.build(output=h)


def set_twice():
    b, x, h = builder()
    b.set_state(h, x)
    b.set_state(h, x)


def of_another_builder():
    b, x, _ = builder()
    b.set_state(builder()[2], x)


MISTAKES = {
    "a state that is not set": (without_next, "unwritten_state"),
    "a state that is set twice": (set_twice, "repeated_state"),
    "a state that is none": (lambda: (t := builder())[0].set_state(t[1], t[2]), "invalid_type"),
    "a number for a state": (lambda: (t := builder())[0].set_state(3, t[2]), "invalid_type"),
    "a number for a value": (lambda: (t := builder())[0].set_state(t[2], 0.0), "invalid_type"),
    "a state of another builder": (of_another_builder, "buffer_index_out_of_bounds"),
    "a value of another size": (
        lambda: (t := builder())[0].set_state(t[2], t[0].reduce_sum(t[1])),
        "input_buffer_size_mismatch",
    ),
    "a size that is no integer": (lambda: im.ModelBuilder().state(2.0), "invalid_type"),
    "initial values of another size": (
        lambda: im.ModelBuilder().state(2, [1.0]),
        "parameters_size_mismatch",
    ),
    "weights of the wrong height": (lambda: layer("gru", rows=4), "weights_row_size_mismatch"),
    "initial values of one state": (lambda: layer("lstm", initial=[0.0]), "invalid_type"),
    "initial values that are too many": (
        lambda: layer("lstm", initial=(None, [0.0] * 3)),
        "parameters_size_mismatch",
    ),
    "a nonlinearity of another kind": (
        lambda: (t := builder())[0].rnn(t[1], np.eye(3), np.eye(3), nonlinearity="sigmoid"),
        "unknown_activation",
    ),
    "a nonlinearity of no kind": (
        lambda: (t := builder())[0].rnn(t[1], np.eye(3), np.eye(3), nonlinearity=["tanh"]),
        "invalid_type",
    ),
    "inputs of another width": (
        lambda: (t := builder())[0].rnn(t[1], np.eye(4), np.eye(4)),
        "weights_column_size_mismatch",
    ),
    "a bias of another size": (
        lambda: (t := builder())[0].rnn(t[1], np.eye(3), np.eye(3), [0.0]),
        "bias_weights_size_mismatch",
    ),
    "a layer of a number": (lambda: im.ModelBuilder().rnn(3, np.eye(3), np.eye(3)), "invalid_type"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    cause, code = MISTAKES[name]
    with pytest.raises(im.InstModelError) as caught:
        cause()
    assert caught.value.code == code


def test_a_mistake_leaves_the_builder_as_it_was():
    b = im.ModelBuilder()
    x = b.input(3)
    for initial in ((0.0, [1.0]), ([1.0] * 3, "a")):
        with pytest.raises(im.InstModelError):
            b.lstm(x, np.ones((12, 3)), np.ones((12, 3)), initial=initial)
    info = b.build(output=b.activation(x, "INVERSE"))
    assert (info.state, info.parameters, info.weights) == ([], [], [])
