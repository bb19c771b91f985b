"""PyTorch models of sequences: recurrent networks as their users write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from importers.zoo.torch_nets import Net, numbers
from support.zoo import Case, Recurrent
from torch import nn

import instmodel as im

KIND, CELLS, NOT = "recurrent networks", "cells, step by step", "refused recurrent networks"
COLUMNS = 4


def sequences(
    name: str,
    forward: Callable,
    *parts: str,
    last: bool = True,
    time: int = 1,
    rows: np.ndarray | None = None,
    split: Callable[[torch.Tensor], Sequence[torch.Tensor]] = lambda x: [x],
    output: object = None,
    states: dict | None = None,
    kind: str = KIND,
    **layers: Callable[[], nn.Module],
) -> Case:
    """Return the case of a module that takes sequences.

    Parameters
    ----------
    name : str
    forward : callable
        Takes the module and its inputs.
    parts : str
        Of the pieces in the way, if it is refused.
    last : bool
        Whether it returns the last step alone.
    time : int
        Which axis of its inputs and outputs the steps are.
    split : callable
        Makes its inputs of steps (N, T, F), or (T, N, F).
    """
    table = numbers(COLUMNS) if rows is None else rows

    def source() -> Recurrent:
        torch.manual_seed(0)
        module = Net(forward, **{key: make() for key, make in layers.items()}).eval()

        def run(given: torch.Tensor) -> torch.Tensor:
            # oneDNN would compile an LSTM for every length.
            with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
                found = module(*split(given if time else given.transpose(0, 1)))
            found = found if output is None else found[output]
            return found if time or last else found.transpose(0, 1)

        example = torch.zeros((2, 3, table.shape[1]))
        return Recurrent(
            table,
            lambda given: after_each_step(run, given, last),
            lambda: im.importers.from_torch(
                module,
                tuple(split(example if time else example.transpose(0, 1))),
                sequences=True,
                output=output,
                states=states,
            ),
        )

    return Case(name, NOT if parts else kind, source, parts)


def after_each_step(
    run: Callable[[torch.Tensor], torch.Tensor], given: Sequence[np.ndarray], last: bool
) -> list[np.ndarray]:
    """Return what is computed after each step: of every beginning if it is of the last alone."""
    tensors = [torch.from_numpy(item.copy()) for item in given]
    if not last:
        return [run(item[None])[0].reshape(len(item), -1).double().numpy() for item in tensors]
    found: list[list[np.ndarray]] = [[] for _ in given]
    for length in range(1, max(map(len, given)) + 1):
        members = [i for i, item in enumerate(given) if len(item) >= length]
        done = run(torch.stack([tensors[i][:length] for i in members]))
        for i, part in zip(members, done.reshape(len(members), -1).double().numpy(), strict=True):
            found[i].append(part)
    return [np.stack(item) for item in found]


def steps(
    name: str,
    make: Callable[[], nn.Module],
    sizes: Sequence[int],
    states: dict,
    nested: bool = False,
    output: object = None,
) -> Case:
    """Return the case of a module of one step, which takes states of some sizes, and returns them.

    With `nested`, it takes them in a tuple.
    """
    table = numbers(COLUMNS)

    def source() -> Recurrent:
        torch.manual_seed(0)
        module = make().eval()

        def arguments(rows: torch.Tensor, held: Sequence[torch.Tensor]) -> tuple:
            return (rows, tuple(held)) if nested else (rows, *held)

        def one(item: np.ndarray) -> np.ndarray:
            held = [torch.zeros(1, size) for size in sizes]
            found = []
            for row in torch.from_numpy(item.copy()):
                with torch.no_grad():
                    returned = torch.utils._pytree.tree_leaves(module(*arguments(row[None], held)))
                held = [returned[place] for place in states.values()]
                found.append(returned[output or 0].double().numpy()[0])
            return np.stack(found)

        example = arguments(torch.zeros(2, COLUMNS), [torch.zeros(2, size) for size in sizes])
        return Recurrent(
            table,
            lambda given: [one(item) for item in given],
            lambda: im.importers.from_torch(module, example, states=states, output=output),
        )

    return Case(name, CELLS, source)


def layer(kind: type, columns: int = COLUMNS, hidden: int = 5, count: int = 1, **settings):
    """Return what makes a recurrent layer, by default with the batch first."""
    settings = {"batch_first": True, **settings}
    return lambda: kind(columns, hidden, count, **settings)


def linear(columns: int, outputs: int = 2) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(columns, outputs)


def by_channel(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    return norm(x.transpose(1, 2)).transpose(1, 2)


def fitted(size: int) -> nn.Module:
    layer = nn.BatchNorm1d(size)
    with torch.no_grad():
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.5, 2)
    return layer


class Start(nn.Module):
    """A learned state to start from."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(1, 1, 5))

    def forward(self, count):
        return self.first.expand(-1, count, -1).contiguous()


def keys_and_amounts(x: torch.Tensor) -> list[torch.Tensor]:
    return [x[..., 0].long(), x[..., 1:]]


CATEGORIES = np.concatenate(
    [np.random.default_rng(3).integers(0, 9, (300, 1)), numbers(2)], axis=1
).astype(np.float32)


class StepOfLSTM(nn.Module):
    """A cell, and a head behind it: what it returns first is the score."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.cell, self.head = nn.Linear(4, 6), nn.LSTMCell(6, 5), nn.Linear(5, 2)

    def forward(self, x, held):
        hidden, cell = self.cell(torch.tanh(self.before(x)), held)
        return self.head(hidden), hidden, cell


class MovingAverage(nn.Module):
    """A memory of one's own: what was seen, less and less of it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 1)

    def forward(self, x, mean):
        mean = 0.9 * mean + 0.1 * x
        return {"score": self.head(torch.cat([x, x - mean], 1)), "mean": mean}


def unrolled(m, x):
    held, done = x.new_zeros(x.shape[0], 5), []
    for step in range(x.shape[1]):
        held = m.cell(x[:, step], held)
        done.append(held)
    return torch.stack(done, 1)


def packed(m, x):
    lengths = torch.full((x.shape[0],), 3)
    whole = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    return m.rnn(whole)[1][0]


CASES = [
    sequences("RNN", lambda m, x: m.out(m.rnn(x)[0][:, -1]), rnn=layer(nn.RNN), out=linear(5)),
    sequences(
        "RNN of relu, every step",
        lambda m, x: m.out(m.rnn(x)[0]),
        last=False,
        rnn=layer(nn.RNN, nonlinearity="relu"),
        out=linear(5),
    ),
    sequences(
        "RNN of three layers without bias, steps first",
        lambda m, x: m.out(m.rnn(x)[0][-1]),
        time=0,
        rnn=layer(nn.RNN, count=3, bias=False, batch_first=False),
        out=linear(5),
    ),
    sequences(
        "GRU, a score",
        lambda m, x: torch.sigmoid(m.out(m.gru(x)[1][-1])).squeeze(-1),
        gru=layer(nn.GRU, hidden=16),
        out=linear(16, 1),
    ),
    sequences(
        "GRU of two layers with dropout, every step",
        lambda m, x: m.out(m.gru(x)[0]),
        last=False,
        gru=layer(nn.GRU, count=2, dropout=0.3),
        out=linear(5),
    ),
    sequences(
        "GRU without bias, steps first, every step",
        lambda m, x: m.gru(x)[0],
        last=False,
        time=0,
        gru=layer(nn.GRU, bias=False, batch_first=False),
    ),
    sequences("LSTM", lambda m, x: m.out(m.lstm(x)[1][0][-1]), lstm=layer(nn.LSTM), out=linear(5)),
    sequences(
        "LSTM of three layers, every step",
        lambda m, x: m.out(m.lstm(x)[0]),
        last=False,
        lstm=layer(nn.LSTM, count=3),
        out=linear(5),
    ),
    sequences("LSTM, its cell state", lambda m, x: m.lstm(x)[1][1][0], lstm=layer(nn.LSTM)),
    sequences(
        "LSTM with steps first, of a batch first",
        lambda m, x: m.out(m.lstm(x.permute(1, 0, 2))[0]).permute(1, 0, 2),
        last=False,
        lstm=layer(nn.LSTM, batch_first=False, bias=False),
        out=linear(5),
    ),
    sequences(
        "layers and norms before, a residual behind",
        lambda m, x: m.out(m.norm(m.gru(h := m.act(m.norm(m.before(x))))[0] + h)),
        last=False,
        before=linear(4, 6),
        norm=lambda: nn.LayerNorm(6),
        act=nn.GELU,
        gru=layer(nn.GRU, 6, 6),
        out=linear(6),
    ),
    sequences(
        "embedded categories",
        lambda m, ids, amounts: m.out(m.lstm(torch.cat([m.embed(ids), amounts], -1))[0][:, -1]),
        rows=CATEGORIES,
        split=keys_and_amounts,
        embed=lambda: nn.Embedding(9, 3),
        lstm=layer(nn.LSTM, 5),
        out=linear(5),
    ),
    sequences(
        "batch norm of channels, step by step",
        lambda m, x: m.out(m.drop(m.rnn(by_channel(x, m.norm))[0][:, -1])),
        norm=lambda: fitted(4),
        rnn=layer(nn.RNN),
        drop=lambda: nn.Dropout(0.5),
        out=linear(5),
    ),
    sequences(
        "a learned state to start from",
        lambda m, x: m.out(m.gru(x, m.start(x.size(0)))[0]),
        last=False,
        start=Start,
        gru=layer(nn.GRU),
        out=linear(5),
    ),
    sequences(
        "zeros to start from",
        lambda m, x: m.out(
            m.lstm(x, (torch.zeros(2, x.size(0), 5), torch.zeros(2, len(x), 5)))[0][:, -1, :]
        ),
        lstm=layer(nn.LSTM, count=2),
        out=linear(5),
    ),
    sequences(
        "GRU behind LSTM behind RNN",
        lambda m, x: m.out(m.gru(m.drop(m.lstm(torch.relu(m.rnn(x)[0]))[0]))[1].squeeze(0)),
        rnn=layer(nn.RNN),
        lstm=layer(nn.LSTM, 5, 4),
        drop=lambda: nn.Dropout(0.2),
        gru=layer(nn.GRU, 4, 3),
        out=linear(3),
    ),
    sequences(
        "probabilities of classes",
        lambda m, x: torch.softmax(m.out(m.gru(x)[0][:, -1:]), -1).squeeze(1),
        gru=layer(nn.GRU),
        out=linear(5, 3),
    ),
    sequences(
        "a head on rows of all steps",
        lambda m, x: m.out(m.lstm(x)[0].reshape(-1, 5)).view(x.shape[0], x.shape[1], 2),
        last=False,
        lstm=layer(nn.LSTM),
        out=linear(5),
    ),
    sequences(
        "an LSTM in double precision",
        lambda m, x: m.out(m.lstm(x.double())[0][:, -1]),
        lstm=lambda: nn.LSTM(4, 5, batch_first=True).double(),
        out=lambda: nn.Linear(5, 1).double(),
    ),
    sequences(
        "one number a step",
        lambda m, x: m.out(m.gru(x.unsqueeze(-1))[0][:, -1]),
        rows=numbers(1),
        split=lambda x: [x[..., 0]],
        gru=layer(nn.GRU, 1),
        out=linear(5, 1),
    ),
    sequences(
        "amounts standardized, squares of them",
        lambda m, x: m.out(m.rnn(torch.cat([z := (x - 0.3) / 1.7, z**2, z.abs()], -1))[0][:, -1]),
        rnn=layer(nn.RNN, 12),
        out=linear(5),
    ),
    sequences(
        "gated outputs",
        lambda m, x: (h := m.gru(x)[0]) * torch.sigmoid(m.gate(h)) + m.skip(x),
        last=False,
        gru=layer(nn.GRU),
        gate=linear(5, 5),
        skip=linear(4, 5),
    ),
    sequences(
        "two memories of different columns",
        lambda m, x: m.out(torch.cat([m.gru(x[..., :2])[0], m.lstm(x[..., 2:])[0]], -1)[:, -1]),
        gru=layer(nn.GRU, 2, 3),
        lstm=layer(nn.LSTM, 2, 4),
        out=linear(7),
    ),
    sequences(
        "the two last states side by side",
        lambda m, x: m.out(torch.cat(m.lstm(x)[1], -1)[0]),
        lstm=layer(nn.LSTM),
        out=linear(10),
    ),
    sequences(
        "a dictionary of states, one chosen",
        lambda m, x: {"next": m.out(m.gru(x)[0]), "all": m.gru(x)[1]},
        last=False,
        output="next",
        gru=layer(nn.GRU),
        out=linear(5),
    ),
    steps("RNNCell of relu", lambda: nn.RNNCell(4, 5, nonlinearity="relu"), [5], {1: 0}),
    steps("GRUCell", lambda: nn.GRUCell(4, 5), [5], {1: 0}),
    steps("GRUCell without bias", lambda: nn.GRUCell(4, 5, bias=False), [5], {1: 0}),
    steps("LSTMCell, its hidden state", lambda: nn.LSTMCell(4, 5), [5, 5], {1: 0, 2: 1}, True, 0),
    steps("LSTMCell between layers", StepOfLSTM, [5, 5], {1: 1, 2: 2}, True),
    sequences(
        "bidirectional, projected and averaged",
        lambda m, x: m.both(x)[0].mean(1) + m.low(x)[0][:, -1] + m.out(x.cumsum(1))[:, -1],
        "bidirectional",
        "proj_size",
        "mean: an operation along the steps",
        "cumsum: an operation along the steps",
        both=layer(nn.GRU, hidden=2, bidirectional=True),
        low=layer(nn.LSTM, proj_size=4),
        out=linear(4, 4),
    ),
    sequences(
        "attention over the steps",
        lambda m, x: (torch.softmax(m.out(h := m.gru(x)[0]), 1) * h).sum(1),
        "softmax: an operation along the steps",
        "sum_1: an operation along the steps",
        gru=layer(nn.GRU),
        out=linear(5, 1),
    ),
    sequences(
        "a decoder that starts where an encoder ends",
        lambda m, x: m.decode(x, m.encode(x)[1])[0][:, -1],
        "an initial state that is computed from the input",
        encode=layer(nn.GRU),
        decode=layer(nn.GRU),
    ),
    sequences(
        "the first step, and the last beside each",
        lambda m, x: m.gru(x)[0][:, 0] + (m.gru(x)[0] + m.gru(x)[1][0][:, None])[:, -1],
        "another step than the last",
        "known after the last step",
        gru=layer(nn.GRU),
    ),
    sequences("packed sequences", packed, "packed sequences", rnn=layer(nn.RNN)),
    sequences(
        "a cell in a loop over the steps",
        unrolled,
        "no recurrent layer",
        last=False,
        cell=lambda: nn.RNNCell(4, 5),
    ),
]
