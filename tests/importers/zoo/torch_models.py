"""PyTorch models of the zoo: networks as their users write them."""

from __future__ import annotations

import numpy as np
import torch
from importers.zoo.torch_nets import Net, Residual, activated, case, formula, numbers, refused
from importers.zoo.torch_published import CASES as PUBLISHED
from importers.zoo.torch_recurrent import CASES as SEQUENCES
from torch import nn
from torch.nn import functional as F


def fitted_norm(size: int) -> nn.BatchNorm1d:
    """Return a batch norm that has seen data."""
    layer = nn.BatchNorm1d(size)
    with torch.no_grad():
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.5, 2)
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    return layer


class Experts(nn.Module):
    """A mixture of experts with a soft gate for each task."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(8, 5) for _ in range(3)])
        self.gates = nn.ModuleList([nn.Linear(8, 3) for _ in range(tasks)])
        self.towers = nn.ModuleList([nn.Linear(5, 1) for _ in range(tasks)])

    def forward(self, x):
        experts = torch.stack([F.relu(expert(x)) for expert in self.experts], dim=1)
        found = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            weights = gate(x).softmax(-1).unsqueeze(-1)
            found.append(tower((weights * experts).sum(1)))
        return torch.cat(found, 1)


class Tasks(nn.Module):
    """A body for several heads, which returns a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.price = nn.Linear(8, 6), nn.Linear(6, 1)
        self.churn, self.region = nn.Linear(6, 1), nn.Linear(6, 3)

    def forward(self, x):
        body = torch.tanh(self.body(x))
        return {
            "price": self.price(body).squeeze(-1),
            "churn": torch.sigmoid(self.churn(body)),
            "region": F.log_softmax(self.region(body), dim=-1),
        }


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            [nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1)) for _ in range(4)]
        )

    def forward(self, x):
        scores = torch.stack([member(x) for member in self.members])
        return torch.cat([scores.mean(0), scores.std(0)], 1)


FEED, NORMS, GATES = "feed-forward networks", "norms", "gates and experts"
HEADS, PREPARED, SHAPES = "several outputs and heads", "preparation in the module", "shapes"
RECURRENT, FUNCTIONS = "recurrent and convolutional layers", "functions"
POSITIVE = np.abs(numbers(6)) + 0.5

CASES = [
    case(
        "MLP with batch norm and dropout",
        FEED,
        lambda: nn.Sequential(
            nn.Linear(8, 16), fitted_norm(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1)
        ),
    ),
    case("logistic regression", FEED, lambda: nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())),
    case(
        "batch norm first",
        FEED,
        lambda: nn.Sequential(
            fitted_norm(8), nn.Linear(8, 4), nn.ELU(), nn.Linear(4, 3), nn.Softmax(1)
        ),
    ),
    case(
        "SELU with alpha dropout",
        FEED,
        lambda: nn.Sequential(nn.Linear(8, 6), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(6, 1)),
    ),
    case(
        "layers without bias",
        FEED,
        lambda: nn.Sequential(nn.Linear(8, 4, bias=False), nn.Tanh(), nn.Linear(4, 1, bias=False)),
    ),
    case(
        "double precision",
        FEED,
        lambda: Net(lambda m, x: m.layers(x.double()).float(), layers=nn.Linear(8, 2).double()),
    ),
    case(
        "weight norm",
        FEED,
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(8, 5)), nn.ReLU(), nn.Linear(5, 1)
        ),
    ),
    case("weight norm of old", FEED, lambda: nn.utils.weight_norm(nn.Linear(8, 3))),
    case("spectral norm", FEED, lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3))),
    case(
        "autoencoder and its error",
        FEED,
        lambda: Net(
            lambda m, x: torch.cat(
                [(y := m.decode(F.relu(m.encode(x)))), ((x - y) ** 2).mean(1, keepdim=True)], 1
            ),
            encode=nn.Linear(8, 3),
            decode=nn.Linear(3, 8),
        ),
    ),
    case(
        "variational autoencoder's mean",
        FEED,
        lambda: Net(
            lambda m, x: m.decode(m.encode(x).chunk(2, -1)[0]),
            encode=nn.Linear(8, 6),
            decode=nn.Linear(3, 8),
        ),
    ),
    case("ensemble: mean and deviation", FEED, Ensemble),
    case(
        "residual blocks",
        FEED,
        lambda: nn.Sequential(nn.Linear(8, 6), Residual(6), Residual(6), nn.Linear(6, 1)),
    ),
    case(
        "dense blocks",
        FEED,
        lambda: Net(
            lambda m, x: m.c(
                torch.cat([x, (a := F.relu(m.a(x))), F.relu(m.b(torch.cat([x, a], 1)))], 1)
            ),
            a=nn.Linear(8, 4),
            b=nn.Linear(12, 4),
            c=nn.Linear(16, 1),
        ),
    ),
    case(
        "highway network",
        FEED,
        lambda: Net(
            lambda m, x: (t := torch.sigmoid(m.gate(x))) * F.relu(m.layer(x)) + (1 - t) * x,
            gate=nn.Linear(8, 8),
            layer=nn.Linear(8, 8),
        ),
    ),
    *map(
        activated,
        (
            nn.LeakyReLU(0.1),
            nn.PReLU(),
            nn.RReLU(),
            nn.GELU(),
            nn.GELU("tanh"),
            nn.SiLU(),
            nn.Mish(),
            nn.Softplus(2.0),
            nn.Softsign(),
            nn.Softmin(-1),
            nn.Tanhshrink(),
            nn.Hardshrink(),
            nn.Softshrink(),
            nn.Threshold(0.1, 2.0),
            nn.Hardswish(),
            nn.Hardsigmoid(),
            nn.CELU(0.5),
            nn.LogSigmoid(),
        ),
    ),
    case(
        "layer norm, RMS norm and group norm",
        NORMS,
        lambda: nn.Sequential(
            nn.LayerNorm(8), nn.Linear(8, 6), nn.RMSNorm(6), nn.Linear(6, 8), nn.GroupNorm(2, 8)
        ),
    ),
    case(
        "instance norm of channels",
        NORMS,
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 4)), nn.InstanceNorm1d(2, affine=True), nn.Flatten()
        ),
    ),
    case(
        "batch norm of channels",
        NORMS,
        lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), fitted_norm(2), nn.Flatten()),
    ),
    formula(
        "normalized rows",
        NORMS,
        lambda m, x: m.layer(F.normalize(x, dim=1)),
        layer=lambda: nn.Linear(8, 2),
    ),
    formula(
        "standardized rows",
        NORMS,
        lambda m, x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5),
    ),
    formula(
        "cosine similarity of two towers",
        NORMS,
        lambda m, x: F.cosine_similarity(m.a(x[:, :4]), m.b(x[:, 4:])),
        a=lambda: nn.Linear(4, 3),
        b=lambda: nn.Linear(4, 3),
    ),
    formula(
        "distances to prototypes",
        NORMS,
        lambda m, x: F.softmax(-torch.cdist(x, m.centres), 1),
        centres=lambda: torch.randn(3, 8),
    ),
    formula(
        "radial basis functions",
        NORMS,
        lambda m, x: m.out(torch.exp(-((x[:, None] - m.centres) ** 2).sum(-1) / 8)),
        centres=lambda: nn.Parameter(torch.randn(4, 8)),
        out=lambda: nn.Linear(4, 1),
    ),
    case("GLU", GATES, lambda: nn.Sequential(nn.Linear(8, 12), nn.GLU(), nn.Linear(6, 1))),
    formula(
        "GEGLU and SwiGLU",
        GATES,
        lambda m, x: m.out(
            F.gelu(m.a(x).chunk(2, -1)[0]) * m.a(x).chunk(2, -1)[1] + F.silu(m.b(x)) * m.c(x)
        ),
        a=lambda: nn.Linear(8, 12),
        b=lambda: nn.Linear(8, 6),
        c=lambda: nn.Linear(8, 6),
        out=lambda: nn.Linear(6, 1),
    ),
    case("mixture of experts", GATES, lambda: Experts(1)),
    case("mixture of experts for two tasks", GATES, lambda: Experts(2)),
    formula(
        "squeeze and excitation",
        GATES,
        lambda m, x: x * torch.sigmoid(m.up(F.relu(m.down(x)))),
        down=lambda: nn.Linear(8, 2),
        up=lambda: nn.Linear(2, 8),
    ),
    formula(
        "bilinear layer",
        GATES,
        lambda m, x: m.pair(x[:, :3], x[:, 3:]),
        pair=lambda: nn.Bilinear(3, 5, 2),
    ),
    formula(
        "quadratic form",
        GATES,
        lambda m, x: torch.einsum("bi,ij,bj->b", x, m.w, x),
        w=lambda: torch.randn(8, 8),
    ),
    formula(
        "neural additive model",
        GATES,
        lambda m, x: (F.relu(x.unsqueeze(-1) * m.w + m.b) * m.v).sum((1, 2)),
        w=lambda: nn.Parameter(torch.randn(8, 4)),
        b=lambda: nn.Parameter(torch.randn(8, 4)),
        v=lambda: nn.Parameter(torch.randn(8, 4)),
    ),
    case("a dictionary of heads, one chosen", HEADS, Tasks, output="churn"),
    case("a dictionary of heads, all of them", HEADS, Tasks, output=["price", "churn", "region"]),
    case(
        "a tuple of logits and features",
        HEADS,
        lambda: Net(
            lambda m, x: (m.b(h := F.relu(m.a(x))), h), a=nn.Linear(8, 4), b=nn.Linear(4, 2)
        ),
        output=[1, 0],
    ),
    formula(
        "quantiles that do not cross",
        HEADS,
        lambda m, x: torch.cumsum(torch.cat([(q := m.q(x))[:, :1], F.softplus(q[:, 1:])], 1), 1),
        q=lambda: nn.Linear(8, 5),
    ),
    formula(
        "ordinal regression",
        HEADS,
        lambda m, x: torch.sigmoid(m.cuts - m.score(x)).diff(dim=1),
        score=lambda: nn.Linear(8, 1),
        cuts=lambda: torch.tensor([-1.0, 0.0, 1.5]),
    ),
    formula(
        "hazards of a survival model",
        HEADS,
        lambda m, x: torch.cumprod(1 - torch.sigmoid(m.h(x)), 1),
        h=lambda: nn.Linear(8, 6),
    ),
    formula(
        "mean and variance of a normal",
        HEADS,
        lambda m, x: torch.cat([(h := m.h(x))[:, :1], F.softplus(h[:, 1:]) + 1e-6], 1),
        h=lambda: nn.Linear(8, 2),
    ),
    formula(
        "beta distribution's mean",
        HEADS,
        lambda m, x: (ab := F.softplus(m.h(x)) + 1)[:, 0] / ab.sum(1),
        h=lambda: nn.Linear(8, 2),
    ),
    formula(
        "temperature and entropy",
        HEADS,
        lambda m, x: -((p := (m.h(x) / 1.7).softmax(1)) * torch.log(p + 1e-9)).sum(1),
        h=lambda: nn.Linear(8, 3),
    ),
    formula(
        "logit of calibrated scores",
        HEADS,
        lambda m, x: torch.logit(torch.sigmoid(m.h(x)), eps=1e-3) * 0.9 - 0.1,
        h=lambda: nn.Linear(8, 1),
    ),
    formula(
        "means and deviations in buffers",
        PREPARED,
        lambda m, x: m.layer(((x - m.mean) / m.std).clamp(-3, 3)),
        mean=lambda: torch.randn(8),
        std=lambda: torch.rand(8) + 0.5,
        layer=lambda: nn.Linear(8, 1),
    ),
    formula(
        "logarithm of clamped amounts",
        PREPARED,
        lambda m, x: m.layer(torch.log1p(x.clamp(min=0))),
        layer=lambda: nn.Linear(8, 1),
    ),
    formula(
        "symmetric logarithm",
        PREPARED,
        lambda m, x: m.layer(torch.sign(x) * torch.log1p(x.abs())),
        layer=lambda: nn.Linear(8, 1),
    ),
    formula(
        "missing values replaced, with flags",
        PREPARED,
        lambda m, x: m.layer(
            torch.cat([torch.where(torch.isnan(x), m.fill, x), torch.isnan(x).float()], 1)
        ),
        np.where(np.random.default_rng(2).random((300, 6)) < 0.2, np.nan, numbers(6)),
        fill=lambda: torch.randn(6),
        layer=lambda: nn.Linear(12, 1),
    ),
    formula(
        "nan_to_num",
        PREPARED,
        lambda m, x: m.layer(torch.nan_to_num(x, nan=-1.0)),
        np.where(np.random.default_rng(2).random((300, 6)) < 0.2, np.nan, numbers(6)),
        layer=lambda: nn.Linear(6, 1),
    ),
    formula(
        "mean over what is not missing",
        PREPARED,
        lambda m, x: torch.nanmean(x, dim=1),
        np.where(np.random.default_rng(2).random((300, 6)) < 0.2, np.nan, numbers(6)),
    ),
    formula(
        "bins as a scorecard",
        PREPARED,
        lambda m, x: m.points(torch.bucketize(x, m.edges)).sum(1),
        edges=lambda: torch.tensor([-1.0, 0.0, 0.5]),
        points=lambda: nn.Embedding(4, 1),
    ),
    formula(
        "bins, one hot",
        PREPARED,
        lambda m, x: m.layer(
            F.one_hot(torch.searchsorted(m.edges, x.contiguous(), right=True), 4).float().flatten(1)
        ),
        3,
        edges=lambda: torch.tensor([-1.0, 0.0, 0.5]),
        layer=lambda: nn.Linear(12, 1),
    ),
    formula(
        "ratios of columns",
        PREPARED,
        lambda m, x: torch.where(x[:, :3] > 0.1, x[:, 3:6] / x[:, :3], torch.zeros(3)),
    ),
    formula(
        "powers",
        PREPARED,
        lambda m, x: torch.cat([x**1.5, x**-1, x.rsqrt(), x.log2(), x**3], 1),
        POSITIVE,
    ),
    formula(
        "hinges of splines",
        PREPARED,
        lambda m, x: m.layer(F.relu(x[..., None] - m.knots).flatten(1)),
        knots=lambda: torch.linspace(-1, 1, 4),
        layer=lambda: nn.Linear(32, 1),
    ),
    formula(
        "standardized in place",
        PREPARED,
        lambda m, x: (y := x.clone(), y[:, 0].mul_(2.0), y[:, 1:3].clamp_(-1, 1), y.add_(1))[0],
    ),
    formula(
        "rank of columns by comparisons",
        FUNCTIONS,
        lambda m, x: (x[:, :, None] > x[:, None, :]).float().sum(2),
        4,
    ),
    formula(
        "smallest and largest numbers",
        FUNCTIONS,
        lambda m, x: torch.cat(
            [x.amax(1, keepdim=True), x.min(1, keepdim=True)[0], torch.maximum(x[:, :4], x[:, 4:])],
            1,
        ),
    ),
    formula(
        "any, all and counts",
        FUNCTIONS,
        lambda m, x: ((x > 1).any(1) & (x > -2).all(1)).float() + (x > 0).sum(1),
    ),
    formula(
        "products and sums of columns",
        FUNCTIONS,
        lambda m, x: torch.stack([x[:, :4].prod(1), x.sum(1), x.logsumexp(1), x.norm(dim=1)], 1),
    ),
    formula(
        "exponentials and error function",
        FUNCTIONS,
        lambda m, x: (
            torch.erf(x)
            + torch.exp2(x.clamp(-3, 3))
            + torch.expm1(x.clamp(-3, 3))
            + torch.logaddexp(x, -x)
        ),
    ),
    formula(
        "two networks, the better one",
        FUNCTIONS,
        lambda m, x: torch.minimum(m.a(x), m.b(x)).exp().reciprocal(),
        a=lambda: nn.Linear(8, 2),
        b=lambda: nn.Linear(8, 2),
    ),
    formula(
        "rolled, flipped and repeated",
        SHAPES,
        lambda m, x: torch.cat(
            [x.roll(2, 1), x.flip(1), x[:, :2].repeat_interleave(2, 1), x[:, :2].tile(1, 2)], 1
        ),
    ),
    formula(
        "gathered, split and padded",
        SHAPES,
        lambda m, x: torch.cat(
            [x[:, m.order], *x.tensor_split(3, 1)[::-1], F.pad(x, (1, 1), value=2.0)], 1
        ),
        order=lambda: torch.tensor([3, 1, 1]),
    ),
    formula(
        "triangles of constants and of rows",
        SHAPES,
        lambda m, x: torch.triu(x.view(-1, 2, 4)).flatten(1) @ torch.tril(m.w),
        w=lambda: torch.randn(8, 8),
    ),
    formula(
        "windows of columns",
        SHAPES,
        lambda m, x: m.layer(x.unfold(1, 3, 2)).flatten(1),
        layer=lambda: nn.Linear(3, 2),
    ),
    formula(
        "ones for the batch",
        SHAPES,
        lambda m, x: torch.cat([torch.ones(x.shape[0], 1), x.new_zeros(len(x), 1), x], 1) @ m.w,
        w=lambda: torch.randn(10, 2),
    ),
    case(
        "convolution over columns",
        RECURRENT,
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 4)),
            nn.Conv1d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
        ),
    ),
    case(
        "convolution with stride, groups and pools",
        RECURRENT,
        lambda: nn.Sequential(
            nn.Unflatten(1, (2, 4)),
            nn.Conv1d(2, 4, 2, groups=2),
            nn.MaxPool1d(2, 1),
            nn.AvgPool1d(2),
            nn.Flatten(),
        ),
    ),
    formula(
        "GRU over a few steps",
        RECURRENT,
        lambda m, x: m.out(m.gru(x.view(-1, 4, 2))[0][:, -1]),
        gru=lambda: nn.GRU(2, 3, batch_first=True),
        out=lambda: nn.Linear(3, 1),
    ),
    formula(
        "LSTM in two directions",
        RECURRENT,
        lambda m, x: m.lstm(x.view(-1, 4, 2))[0].mean(1),
        lstm=lambda: nn.LSTM(2, 2, batch_first=True, bidirectional=True),
    ),
    formula(
        "RNN over a few steps",
        RECURRENT,
        lambda m, x: m.rnn(x.view(-1, 4, 2))[1][0],
        rnn=lambda: nn.RNN(2, 3, batch_first=True),
    ),
    refused(
        "sorting", lambda m, x: x.sort(1)[0] + x.topk(3, 1)[0].sum(1, keepdim=True), "sort", "topk"
    ),
    refused("periodic features", lambda m, x: torch.cat([x.sin(), x.cos()], 1), "sin", "cos"),
    refused(
        "rounding, and a softmax of the batch",
        lambda m, x: x.round() + x.softmax(0),
        "round",
        "along the batch",
    ),
    refused("random numbers", lambda m, x: x + torch.randn_like(x), "random numbers"),
    refused(
        "a branch on the data", lambda m, x: x if x.sum() > 0 else -x, "torch.export cannot follow"
    ),
    refused("hard choices of experts", lambda m, x: x * F.one_hot(x.argmax(1), 8), "argmax"),
    refused(
        "batch norm in training mode",
        lambda m, x: F.batch_norm(x, None, None, training=True),
        "depends on the batch",
    ),
    *PUBLISHED,
    *SEQUENCES,
]
