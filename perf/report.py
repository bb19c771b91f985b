"""The Markdown report of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from perf.measure import MEMORY_NETWORK, OURS
from perf.peers import PEERS
from perf.results import NetworkResults, failures, in_threads
from perf.rounds import median_ratio, spread
from perf.targets import Target, targets
from perf.timing import P50, P90, P99
from perf.values import KINDS, NORMAL

_NOTHING = "–"


def markdown(results: dict[str, Any]) -> str:
    """Return the report of a run."""
    networks = {
        name: NetworkResults(measured, results["runtime"]["isa"])
        for name, measured in results["networks"].items()
    }
    threads = sorted({1, results["threads"]})
    parts = ["# Benchmark", *_setting(results), *_failures(results)]
    parts += ["## Targets", _targets(targets(results))]
    for number in threads:
        parts += [f"## Throughput, {in_threads(number)}", _throughput(networks, number)]
    parts.append(
        "Thousand rows per second, and in parentheses how many times as fast instmodel is. The "
        "limit is the lower one of what the measured FMA peak and the measured memory bandwidth "
        "allow; memory traffic is counted as the input once and the output once."
    )
    parts += ["## One row", _latency(networks), "Microseconds: p50 / p90 / p99."]
    parts += ["## Loading a model file", _load(networks), "Milliseconds."]
    parts += ["## Importing", _imports(results)]
    parts.append("Beyond `import numpy`, in a fresh interpreter.")
    parts += [f"## Memory of {MEMORY_NETWORK}", _memory(results)]
    parts.append("What the first batch needs beyond input, output and weights.")
    parts += [
        "## Hostile values",
        _values(networks, results["activations"]),
        "Cost, normal inputs being 1.",
    ]
    parts += ["## The peers at their best", _choices(networks)]
    parts.append("Rows at a time, and the mode, that were fastest of those tried.")
    parts += ["## Noise", *_noise(networks, results["others_busy_cpus"])]
    return "\n\n".join(parts) + "\n"


def _setting(results: dict[str, Any]) -> Iterator[str]:
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    yield (
        f"`{results['command']}` on {machine['name']}: {machine['cpu']}, {results['threads']} "
        f"threads, instruction set {results['runtime']['isa']}, {machine['system']}; "
        f"{results['date']}, {results['minutes']:.1f} minutes."
    )
    yield (
        f"{versions}. {settings['rounds']} rounds in which everybody takes turns of "
        f"{1e3 * settings['turn']:g} ms; the figures are medians over rounds, the ratios medians "
        "of the rounds' ratios."
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _targets(reached: Sequence[Target]) -> str:
    rows = (
        [
            target.what,
            f"{'≥' if target.at_least else '≤'} {target.required:g} {target.unit}".strip(),
            _NOTHING if target.reached is None else f"{target.reached:.3g} {target.unit}".strip(),
            {True: "met", False: "**missed**", None: "**could not be judged**"}[target.met],
            "" if target.share_asked is None else f"{target.share_asked:.0%}",
            "; ".join(filter(None, [target.note, *(f"{key} failed" for key in target.failed)])),
        ]
        for target in reached
        if target.reached is not None or target.failed
    )
    header = ["target", "required", "reached", "", "would be, of the limit", "against"]
    return table(header, rows)


def _throughput(networks: dict[str, NetworkResults], threads: int) -> str:
    measured = {key for network in networks.values() for key in network.contenders(threads)}
    keys = {f"{p}-{threads}": p for p in PEERS if f"{p}-{threads}" in measured}
    rows = []
    for name, network in networks.items():
        kind, limit = network.limit(threads)
        bound = f"{median(limit) / 1e3:,.0f} ({kind})" if limit else _NOTHING
        rows.append([name, bound, *(_rate(network, key, threads) for key in keys)])
    names = ["instmodel (of limit)" if p == OURS else PEERS[p].NAME for p in keys.values()]
    return table(["network", "limit", *names], rows)


def _rate(network: NetworkResults, key: str, threads: int) -> str:
    rates = network.rates(key)
    if rates is None:
        return _NOTHING
    if key.startswith(OURS):
        share = network.share_of_limit(key, threads)
        detail = "" if share is None else f" ({share:.0%})"
    else:
        ratio = network.speedup(threads, key)
        detail = "" if ratio is None else f" ({ratio:.2f})"
    return f"{median(rates) / 1e3:,.0f}{detail}"


def _latency(networks: dict[str, NetworkResults]) -> str:
    peers = [p for p in PEERS if any(network.quickest(p) for network in networks.values())]
    rows = []
    for name, network in networks.items():
        keys = [network.quickest(peer) for peer in peers]
        rows.append([name, *(_percentiles(network, key) if key else _NOTHING for key in keys)])
    return table(["network", *(PEERS[peer].NAME for peer in peers)], rows)


def _percentiles(network: NetworkResults, key: str) -> str:
    medians = (median(network.latency(key, place) or [0]) for place in (P50, P90, P99))
    return " / ".join(f"{1e6 * seconds:.3g}" for seconds in medians)


def _load(networks: dict[str, NetworkResults]) -> str:
    columns = {
        (key, file): f"{_name(key)} {file}"
        for network in networks.values()
        for key, files in network.measured["load_seconds"].items()
        for file in files
    }
    rows = []
    for name, network in networks.items():
        load = network.measured["load_seconds"]
        cells = (load.get(key, {}).get(file) for key, file in columns)
        rows.append([name, *(_milliseconds(cell) if cell else _NOTHING for cell in cells)])
    return table(["network", *columns.values()], rows)


def _imports(results: dict[str, Any]) -> str:
    imports = results["imports"].items()
    rows = ([PEERS[module].NAME, _milliseconds(seconds)] for module, seconds in imports)
    return table(["library", "ms"], rows)


def _milliseconds(seconds: Sequence[float]) -> str:
    return f"{1e3 * median(seconds):.3g}"


def _memory(results: dict[str, Any]) -> str:
    measured = {key: rounds for key, rounds in results["memory"].items() if None not in rounds}
    names = [f"{_name(key)}, {in_threads(int(key.rpartition('-')[2]))}" for key in measured]
    cells = (f"{max(rounds) / 1024:,.0f}" for rounds in measured.values())
    return table(["contender", "KiB"], zip(names, cells, strict=True))


def _values(
    networks: dict[str, NetworkResults], activations: dict[str, dict[str, list[float]]]
) -> str:
    measured = {name: n.measured["values_seconds"] for name, n in networks.items()}
    measured |= {name: {f"{OURS}-1": costs} for name, costs in activations.items()}
    rows = []
    for name, contenders in measured.items():
        for key, costs in contenders.items():
            ratios = [median_ratio(costs[kind], costs[NORMAL]) for kind in KINDS]
            rows.append([name, _name(key), *(f"{ratio:.2f}" for ratio in ratios)])
    return table(["network or activation", "", *KINDS], rows)


def _choices(networks: dict[str, NetworkResults]) -> str:
    keys = list(dict.fromkeys(k for n in networks.values() for k in n.measured["choices"]))
    keys = [key for key in keys if not key.startswith(OURS)]
    rows = []
    for name, network in networks.items():
        choices = network.measured["choices"]
        rows.append(
            [name, *(_choice(choices[key]) if key in choices else _NOTHING for key in keys)]
        )
    return table(["network", *keys], rows)


def _choice(choice: dict[str, Any]) -> str:
    rows = "all" if choice["chunk"] is None else str(choice["chunk"])
    return f"{rows} {choice['mode'].lower()}".strip()


def _noise(networks: dict[str, NetworkResults], busy: float | None) -> Iterator[str]:
    yield (
        "How far apart the middle half of the rounds is, as a part of the median: the typical "
        "contender, and the worst."
    )
    if busy is not None:
        yield f"Other processes kept {busy:.2f} CPUs busy meanwhile, on average."
    rows = []
    for name, network in networks.items():
        measured = network.measured["rows_per_second"] | network.measured["limits"]
        spreads = {key: spread(rates) for key, rates in measured.items()}
        worst = max(spreads, key=lambda key: spreads[key])
        rows.append([name, f"{median(spreads.values()):.1%}", f"{spreads[worst]:.1%} ({worst})"])
    yield table(["network", "typical", "worst"], rows)


def _failures(results: dict[str, Any]) -> Iterator[str]:
    for key, place, message in failures(results):
        yield f"## FAILED: {key} on {place}"
        yield f"{key} is in no figure, ratio, target or plot of {place}."
        yield f"```\n{message.strip()}\n```"


def _name(key: str) -> str:
    peer, _, isa = key.rpartition("-")[0].partition("/")
    return f"{PEERS[peer].NAME} {isa}".strip()
