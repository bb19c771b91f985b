"""PyTorch models of the zoo: recommenders, attention and tabular networks, as papers have them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from importers.zoo.torch_nets import Net, Residual, case, codes, formula, numbers
from support.zoo import Case
from torch import nn
from torch.nn import functional as F

SIZES = (5, 7, 4)
IDS = codes(*SIZES)
MIXED = np.concatenate([numbers(4), IDS], 1)
MIXED_INPUTS = [(4, torch.float32), (3, torch.int64)]


class Fields(nn.Module):
    """One table for the embeddings of all fields, with an offset for each."""

    def __init__(self, width: int = 4, sizes: Sequence[int] = SIZES) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), width)
        self.register_buffer("offsets", torch.tensor([0, *np.cumsum(sizes)[:-1]]))

    def forward(self, ids):
        return self.table(ids + self.offsets)


def tower(size: int, out: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 6), nn.ReLU(), nn.Linear(6, out))


def second_order(rows):
    """Return the sum of the products of all pairs of rows."""
    return 0.5 * (rows.sum(1) ** 2 - (rows**2).sum(1))


class DeepFM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.first, self.deep = Fields(), Fields(1), tower(12)

    def forward(self, ids):
        rows = self.rows(ids)
        linear, pairs = self.first(ids).sum(1), second_order(rows).sum(1, keepdim=True)
        return torch.sigmoid(linear + pairs + self.deep(rows.flatten(1))).squeeze(1)


class WideDeep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({str(i): nn.Embedding(n, 3) for i, n in enumerate(SIZES)})
        self.wide, self.deep = Fields(1), tower(13)

    def forward(self, x, ids):
        rows = [table(ids[:, int(name)]) for name, table in self.tables.items()]
        return torch.sigmoid(self.wide(ids).sum(1) + self.deep(torch.cat([x, *rows], -1)))


class Cross(nn.Module):
    """Deep & Cross: vectors (version 1), matrices (2), or matrices of low rank with a gate."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.rows, self.version = Fields(2), version
        if version == 1:
            self.layers = nn.ModuleList([nn.Linear(10, 1) for _ in range(2)])
        else:
            self.layers = nn.ModuleList([nn.Linear(10, 10) for _ in range(2)])
        self.deep, self.out = tower(10, 4), nn.Linear(14, 1)

    def forward(self, x, ids):
        start = torch.cat([x, self.rows(ids).flatten(1)], 1)
        crossed = start
        for layer in self.layers:
            crossed = start * layer(crossed) + crossed
        return self.out(torch.cat([crossed, self.deep(start)], 1))


class CompressedInteraction(nn.Module):
    """The CIN of xDeepFM."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Fields()
        self.layers = nn.ModuleList([nn.Conv1d(9, 4, 1), nn.Conv1d(12, 2, 1)])
        self.out = nn.Linear(6, 1)

    def forward(self, ids):
        start = self.rows(ids)
        hidden, pooled = start, []
        for layer in self.layers:
            pairs = torch.einsum("bhd,bmd->bhmd", hidden, start).flatten(1, 2)
            hidden = F.relu(layer(pairs))
            pooled.append(hidden.sum(-1))
        return self.out(torch.cat(pooled, 1))


class FieldAware(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList([Fields(3) for _ in SIZES])

    def forward(self, ids):
        rows = [table(ids) for table in self.tables]
        pairs = [rows[j][:, i] * rows[i][:, j] for i in range(3) for j in range(i + 1, 3)]
        return torch.stack(pairs, 1).sum((1, 2))


class AttentionalPairs(nn.Module):
    """AFM: attention over the products of pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.attend, self.score = Fields(), nn.Linear(4, 3), nn.Linear(3, 1, bias=False)
        self.out = nn.Linear(4, 1)
        self.first, self.second = [0, 0, 1], [1, 2, 2]

    def forward(self, ids):
        rows = self.rows(ids)
        pairs = rows[:, self.first] * rows[:, self.second]
        weights = F.softmax(self.score(F.relu(self.attend(pairs))), dim=1)
        return self.out((weights * pairs).sum(1))


class AutoInt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.attention = Fields(), nn.MultiheadAttention(4, 2, batch_first=True)
        self.skip, self.out = nn.Linear(4, 4), nn.Linear(12, 1)

    def forward(self, ids):
        rows = self.rows(ids)
        mixed = self.attention(rows, rows, rows)[0] + self.skip(rows)
        return torch.sigmoid(self.out(F.relu(mixed).flatten(1)))


class BilinearPairs(nn.Module):
    """FiBiNet: squeeze and excitation of fields, then bilinear pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.pair, self.out = Fields(), nn.Linear(4, 4, bias=False), tower(24)
        self.gate = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 3), nn.ReLU())

    def forward(self, ids):
        rows = self.rows(ids)
        weighted = rows * self.gate(rows.mean(-1)).unsqueeze(-1)
        pairs = [
            self.pair(some[:, i]) * some[:, j]
            for some in (rows, weighted)
            for i in range(3)
            for j in range(i + 1, 3)
        ]
        return self.out(torch.cat(pairs, 1))


class ProductNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.out, self.kernel = Fields(), tower(18), nn.Parameter(torch.randn(4, 4, 3))

    def forward(self, ids):
        rows = self.rows(ids)
        one, other = rows[:, [0, 0, 1]], rows[:, [1, 2, 2]]
        inner = (one * other).sum(-1)
        outer = torch.einsum("bpi,ijp,bpj->bp", one, self.kernel, other)
        return self.out(torch.cat([rows.flatten(1), inner, outer], 1))


class InterestNetwork(nn.Module):
    """DIN: a history of items, weighted by how they meet the candidate; item 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(9, 4, padding_idx=0)
        self.weigh, self.out = (
            nn.Sequential(nn.Linear(16, 5), nn.PReLU(), nn.Linear(5, 1)),
            tower(8),
        )

    def forward(self, candidate, history):
        one, past = self.items(candidate), self.items(history)
        wide = one.expand(-1, history.shape[1], -1)
        scores = self.weigh(torch.cat([wide, past, wide - past, wide * past], -1)).squeeze(-1)
        weights = scores * (history > 0).float()
        pooled = torch.bmm(weights.unsqueeze(1), past).squeeze(1)
        return torch.sigmoid(self.out(torch.cat([one.squeeze(1), pooled], 1)))


class MaskedHistory(nn.Module):
    """A transformer over a history, which does not look at its padding."""

    def __init__(self) -> None:
        super().__init__()
        self.items, self.places = nn.Embedding(9, 4), nn.Embedding(4, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.out = nn.Linear(4, 1)

    def forward(self, history):
        places = torch.arange(history.size(1), device=history.device)
        rows = self.items(history) + self.places(places)
        hidden = self.block(rows, src_key_padding_mask=history == 0)
        return self.out(hidden[:, 0])


class Interactions(nn.Module):
    """DLRM: the products of all pairs of embeddings and of what the numbers become."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom, self.top, self.rows = nn.Linear(4, 4), tower(10), Fields()
        self.pairs = torch.tril_indices(4, 4, offset=-1)

    def forward(self, x, ids):
        dense = F.relu(self.bottom(x))
        rows = torch.cat([dense.unsqueeze(1), self.rows(ids)], 1)
        products = torch.bmm(rows, rows.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        return self.top(torch.cat([dense, products], 1))


class Bags(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(9, 4, mode=mode), tower(4)

    def forward(self, ids):
        return self.out(self.bag(ids))


class ExtractedTasks(nn.Module):
    """PLE of multi-task learning: experts of each task and shared ones, two gates."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.ModuleList([nn.ModuleList([nn.Linear(8, 4)]) for _ in range(2)])
        self.shared = nn.ModuleList([nn.Linear(8, 4) for _ in range(2)])
        self.gates = nn.ModuleList([nn.Linear(8, 3) for _ in range(2)])
        self.towers = nn.ModuleList([tower(4) for _ in range(2)])

    def forward(self, x):
        found = []
        for own, gate, head in zip(self.own, self.gates, self.towers, strict=True):
            experts = torch.stack([F.relu(e(x)) for e in (*own, *self.shared)], 1)
            found.append(head(torch.einsum("be,beh->bh", gate(x).softmax(-1), experts)))
        return tuple(torch.sigmoid(score) for score in found)


class EntireSpace(nn.Module):
    """ESMM: clicks, and conversions as a part of them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.click, self.buy = Fields(), tower(12), tower(12)

    def forward(self, ids):
        rows = self.rows(ids).flatten(1)
        click = torch.sigmoid(self.click(rows))
        return torch.cat([click, click * torch.sigmoid(self.buy(rows))], 1)


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = tower(4, 3), Fields(2)
        self.out = nn.Linear(6, 3)

    def forward(self, x, ids):
        user = F.normalize(self.user(x), p=2, dim=1)
        item = F.normalize(self.out(self.item(ids).flatten(1)), p=2, dim=1)
        return torch.sigmoid((user * item).sum(1) / 0.3)


# ---------------------------------------------------------------------------- attention over tokens


class Tokens(nn.Module):
    """A token for each number and each category, and one that collects them, first."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, width))
        self.bias = nn.Parameter(torch.randn(4, width))
        self.rows, self.first = Fields(width), nn.Parameter(torch.randn(1, 1, width))

    def forward(self, x, ids):
        wide = x.unsqueeze(-1) * self.weight + self.bias
        first = self.first.expand(x.shape[0], -1, -1)
        return torch.cat([first, wide, self.rows(ids)], 1)


class FTTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            4, 2, 8, activation="gelu", batch_first=True, norm_first=True
        )
        self.tokens, self.body = (
            Tokens(),
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        )
        self.head = nn.Sequential(nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1))

    def forward(self, x, ids):
        return self.head(self.body(self.tokens(x, ids))[:, 0])


class TabTransformer(nn.Module):
    """Attention over the categories; the numbers join behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.norm = Fields(), nn.LayerNorm(4)
        self.body = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1)
        self.head = tower(16)

    def forward(self, x, ids):
        return self.head(torch.cat([self.body(self.rows(ids)).flatten(1), self.norm(x)], 1))


class ManualAttention(nn.Module):
    """Attention written out, with a mask that hides later tokens."""

    def __init__(self, mask: str) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(2, 2) for _ in range(3))
        self.mask = mask
        self.register_buffer("later", torch.triu(torch.ones(4, 4), diagonal=1).bool())

    def forward(self, x):
        tokens = x.view(-1, 4, 2)
        q, k, v = self.query(tokens), self.key(tokens), self.value(tokens)
        if self.mask == "causal":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True).flatten(1)
        scores = q @ k.transpose(-2, -1) / math.sqrt(2)
        if self.mask == "added":
            scores = scores + torch.zeros(4, 4).masked_fill(self.later, float("-inf"))
        else:
            scores = scores.masked_fill(self.later, float(self.mask))
        return (scores.softmax(-1) @ v).flatten(1)


class PieceWise(nn.Module):
    """Piecewise linear encoding of numbers, as bins learned beforehand have it."""

    def __init__(self) -> None:
        super().__init__()
        edges = torch.tensor([-2.0, -0.7, 0.0, 0.5, 2.0])
        self.register_buffer("edges", edges[:-1])
        self.register_buffer("width", edges.diff())
        self.layer = nn.Linear(16, 1)

    def forward(self, x):
        part = (x.unsqueeze(-1) - self.edges) / self.width
        first, last = part[..., :1].clamp(max=1.0), part[..., -1:].clamp(min=0.0)
        return self.layer(torch.cat([first, part[..., 1:-1].clamp(0.0, 1.0), last], -1).flatten(1))


class TabM(nn.Module):
    """Members that share their weights, and each scale the inputs and outputs of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(6, 4), torch.randn(6, 6)])
        self.before = nn.ParameterList([torch.randn(3, 4), torch.randn(3, 6)])
        self.after = nn.ParameterList([torch.randn(3, 6), torch.randn(3, 6)])
        self.heads = nn.Parameter(torch.randn(3, 6, 1))

    def forward(self, x):
        hidden = x.unsqueeze(1).expand(-1, 3, -1)
        for weight, before, after in zip(self.weights, self.before, self.after, strict=True):
            hidden = F.relu(F.linear(hidden * before, weight) * after)
        return torch.einsum("bki,kio->bko", hidden, self.heads).mean(1)


class ObliviousTrees(nn.Module):
    """NODE with soft choices: features by a softmax, two-sided steps, leaves of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = nn.Parameter(torch.randn(8, 3, 2))
        self.limits, self.leaves = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(3, 4))

    def forward(self, x):
        values = torch.einsum("bf,ftd->btd", x, self.choice.softmax(0))
        side = (0.5 * (values - self.limits) + 0.5).clamp(0, 1)
        first, second = side[..., 0], side[..., 1]
        leaves = [first * second, first * (1 - second), (1 - first) * second]
        leaves.append((1 - first) * (1 - second))
        return (torch.stack(leaves, -1) * self.leaves).sum(-1).sum(-1)


class AttentiveSteps(nn.Module):
    """TabNet's steps with a softmax in the place of its sparsemax."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.ModuleList([nn.Linear(4, 8) for _ in range(2)])
        self.feature, self.out = nn.Linear(8, 16), nn.Linear(4, 1)

    def forward(self, x):
        prior, total = torch.ones_like(x), 0.0
        hidden = F.glu(self.feature(x))[:, 4:]
        for attend in self.attend:
            mask = F.softmax(attend(hidden) * prior, -1)
            prior = prior * (1.3 - mask)
            decided, hidden = F.glu(self.feature(x * mask)).split([4, 4], -1)
            total = total + F.relu(decided)
        return self.out(total)


RECOMMENDERS, TASKS = "recommenders", "multi-task models"
ATTENTION, TABULAR = "attention over tokens", "tabular networks"
LONG = [(3, torch.int64)]


def recommender(name: str, make, rows=IDS, inputs=LONG, kind: str = RECOMMENDERS, **more) -> Case:
    return case(name, kind, make, rows, inputs=inputs, **more)


def mixed(name: str, make, kind: str = RECOMMENDERS) -> Case:
    return recommender(name, make, MIXED, MIXED_INPUTS, kind)


def tokens(name: str, forward, **parts) -> Case:
    """Return a case of a function of four tokens of two numbers."""
    run = lambda m, x: forward(m, x.view(-1, 4, 2))  # noqa: E731
    return formula(name, ATTENTION, run, **parts)


def attend() -> nn.MultiheadAttention:
    return nn.MultiheadAttention(2, 2, batch_first=True)


CASES = [
    recommender("DeepFM", DeepFM),
    recommender(
        "factorization machine",
        lambda: Net(
            lambda m, ids: second_order(m.rows(ids)).sum(1) + m.first(ids).sum((1, 2)),
            rows=Fields(),
            first=Fields(1),
        ),
    ),
    recommender(
        "neural factorization machine",
        lambda: Net(lambda m, ids: m.out(second_order(m.rows(ids))), rows=Fields(), out=tower(4)),
    ),
    recommender("field-aware factorization machine", FieldAware),
    recommender("xDeepFM's interaction", CompressedInteraction),
    recommender("attentional factorization machine", AttentionalPairs),
    recommender("AutoInt", AutoInt),
    recommender("FiBiNet", BilinearPairs),
    recommender("product network, inner and outer", ProductNetwork),
    recommender("bags of embeddings, summed", lambda: Bags("sum"), codes(9, 9, 9)),
    recommender("bags of embeddings, their mean", lambda: Bags("mean"), codes(9, 9, 9)),
    recommender("bags of embeddings, their maximum", lambda: Bags("max"), codes(9, 9, 9)),
    recommender(
        "DIN over a history",
        InterestNetwork,
        codes(9, 9, 9, 9),
        [(1, torch.int64), (3, torch.int64)],
    ),
    recommender(
        "transformer over a padded history", MaskedHistory, codes(9, 9, 9, 9), [(4, torch.int64)]
    ),
    recommender(
        "categories as columns of floats",
        lambda: Net(
            lambda m, x: m.out(torch.cat([m.rows(x[:, 4:].long()).flatten(1), x[:, :4]], 1)),
            rows=Fields(),
            out=tower(16),
        ),
        MIXED,
        [(7, torch.float32)],
    ),
    recommender(
        "one-hot categories",
        lambda: Net(
            lambda m, ids: m.out(
                torch.cat([F.one_hot(ids[:, i], n) for i, n in enumerate(SIZES)], 1).float()
            ),
            out=tower(16),
        ),
    ),
    mixed("Wide & Deep", WideDeep),
    mixed("Deep & Cross, version 1", lambda: Cross(1)),
    mixed("Deep & Cross, version 2", lambda: Cross(2)),
    mixed("DLRM", Interactions),
    mixed("two towers", TwoTowers),
    recommender("ESMM", EntireSpace, kind=TASKS),
    case("PLE, progressive layered extraction", TASKS, ExtractedTasks, output=[0, 1]),
    tokens(
        "multi-head attention",
        lambda m, x: m.a(x, x, x, need_weights=False)[0].flatten(1),
        a=attend,
    ),
    tokens(
        "multi-head attention and its weights",
        lambda m, x: torch.cat([part.flatten(1) for part in m.a(x, x, x)], 1),
        a=attend,
    ),
    tokens(
        "multi-head attention, tokens first",
        lambda m, x: m.a(*[x.transpose(0, 1)] * 3)[0].transpose(0, 1).flatten(1),
        a=lambda: nn.MultiheadAttention(2, 1),
    ),
    tokens(
        "multi-head attention with a causal mask",
        lambda m, x: m.a(x, x, x, attn_mask=nn.Transformer.generate_square_subsequent_mask(4))[
            0
        ].flatten(1),
        a=attend,
    ),
    tokens(
        "cross attention of learned queries",
        lambda m, x: m.a(m.q.expand(len(x), -1, -1), x, x)[0].flatten(1),
        a=attend,
        q=lambda: nn.Parameter(torch.randn(1, 3, 2)),
    ),
    tokens(
        "transformer decoder layer",
        lambda m, x: m.d(x, x.flip(1)).flatten(1),
        d=lambda: nn.TransformerDecoderLayer(2, 1, 4, batch_first=True),
    ),
    *(
        case(f"attention by hand, mask {mask}", ATTENTION, lambda mask=mask: ManualAttention(mask))
        for mask in ("causal", "added", "-inf", "-1e9")
    ),
    mixed("FT-Transformer", FTTransformer, TABULAR),
    mixed("TabTransformer", TabTransformer, TABULAR),
    case(
        "ResNet for tables",
        TABULAR,
        lambda: nn.Sequential(
            nn.Linear(8, 6), Residual(6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 1)
        ),
    ),
    case("piecewise linear encoding", TABULAR, PieceWise, 4),
    case("TabM", TABULAR, TabM, 4),
    case("oblivious trees with soft choices", TABULAR, ObliviousTrees),
    case("attentive steps", TABULAR, AttentiveSteps),
    case(
        "MLP-mixer over columns",
        TABULAR,
        lambda: Net(
            lambda m, x: m.b(
                (t := x.view(-1, 4, 2)).flatten(1)
                + m.a(t.transpose(1, 2)).transpose(1, 2).flatten(1)
            ),
            a=tower(4, 4),
            b=nn.Linear(8, 1),
        ),
    ),
    case(
        "periodic embeddings",
        TABULAR,
        lambda: Net(
            lambda m, x: m.out(
                torch.cat(
                    [torch.sin(v := 2 * math.pi * m.c * x[..., None]), torch.cos(v)], -1
                ).flatten(1)
            ),
            c=nn.Parameter(torch.randn(8, 2)),
            out=nn.Linear(32, 1),
        ),
        refused=("sin", "cos"),
    ),
    case(
        "sparsemax attention",
        TABULAR,
        lambda: Net(
            lambda m, x: x * (s := x.sort(1, descending=True)[0]).cumsum(1).clamp(max=1) + s
        ),
        refused=("sort",),
    ),
]
