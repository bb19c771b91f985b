"""The benchmarks compute what they claim to measure. Nothing here asserts a time."""

import os
import signal
import sys
from contextlib import ExitStack

import numpy as np
import pytest

import instmodel as im
from perf import bench, workers
from perf.measure import MEMORY_NETWORK, Settings, check_results, measure_memory, measure_network
from perf.networks import NETWORKS
from perf.peers import PEERS
from perf.peers.with_instmodel import InstModelPeer
from perf.peers.with_numpy import NumPyPeer
from perf.report import markdown
from perf.rounds import alternate, median_ratio, spread
from perf.targets import targets
from perf.timing import QUANTILES
from perf.values import KINDS, NORMAL, hostile_inputs
from perf.workers import Contender, ContenderError, Worker

ROWS = 300


def _result(peer, network, threads, chunk):
    x = network.inputs(ROWS)
    out = np.full((ROWS, network.outputs), np.nan, np.float32)
    return PEERS[peer](network, threads, PEERS[peer].MODES[0]).run(x, out, chunk)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
class TestNetworks:
    def test_numpy_agrees_with_the_engine(self, network):
        expected = im.InstructionModel(network.info).predict(network.inputs(ROWS))
        assert expected.std() > 1e-3  # outputs that are all alike would show nothing
        check_results(_result("numpy", network, 1, None), expected)
        check_results(_result("numpy", network, 1, 128), expected)
        single = PEERS["numpy"](network, 1, "").single(network.inputs(1)[0])()
        check_results(single[0], expected[0])

    def test_the_engine_gives_the_same_bits_on_every_number_of_threads(self, network):
        expected = im.InstructionModel(network.info).predict(network.inputs(ROWS))
        for threads in (1, 2):
            actual = _result("instmodel", network, threads, None)
            check_results(actual, expected, exactly=True)

    def test_inputs_do_not_depend_on_their_number(self, network):
        assert np.array_equal(network.inputs(5000)[:ROWS], network.inputs(ROWS))


def test_wrong_results_are_refused():
    right = np.ones((3, 2), np.float32)
    wrong = right.copy()
    wrong[1, 1] += 1e-3
    with pytest.raises(AssertionError, match="Mismatched elements: 1 / 6"):
        check_results(wrong, right)
    with pytest.raises(AssertionError):
        check_results(np.full_like(right, np.nan), right)
    with pytest.raises(AssertionError):
        check_results(np.nextafter(right, np.float32(2)), right, exactly=True)


def test_everybody_has_a_turn_in_each_round_and_another_one_begins():
    calls = []
    turns = {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"}
    results = alternate(turns, 3)
    assert "".join(calls) == "abcbcacab"
    assert results == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_ratios_are_taken_within_rounds():
    # The machine was half as fast in the second round; the ratio never changed.
    assert median_ratio([8.0, 4.0, 8.0], [2.0, 1.0, 2.0]) == 4.0
    assert spread([1.0, 2.0, 3.0]) == 0.5
    assert spread([7.0]) == 0.0


def test_hostile_inputs_are_of_the_kinds_that_they_say():
    inputs = hostile_inputs(np.array([[-1.5, 2.0]], np.float32))
    assert list(inputs) == [NORMAL, *KINDS]
    assert np.all(np.abs(inputs["saturated"]) > 1e4)
    assert np.all(np.abs(inputs["denormal"]) < np.finfo(np.float32).tiny)
    assert np.all(inputs["denormal"] != 0)
    assert np.all(np.isnan(inputs["NaN"]))
    assert np.all(np.isinf(inputs["infinite"]))


def _results(network, ours, peer):
    """Return the results of a run with one network: rows per second of ours and of a peer."""
    keys = {"instmodel-1": ours, "onnxruntime-1": peer}
    costs = {kind: [1.0] for kind in (NORMAL, *KINDS)}
    measured = {
        "rows": 1000,
        "flops_per_row": 200,
        "bytes_per_row": 10,
        "choices": {key: {"mode": "", "chunk": None} for key in keys},
        "failures": {},
        "rows_per_second": {key: [rate] for key, rate in keys.items()},
        "limits": {"read-1": [2e6], "fma/avx2-1": [2e7]},  # 200,000 and 100,000 rows per second
        "latency_seconds": {key: [[1 / rate] * len(QUANTILES)] for key, rate in keys.items()},
        "load_seconds": {"instmodel-1": {"JSON": [0.001]}, "onnxruntime-1": {"ONNX": [0.002]}},
        "values_seconds": {"instmodel-1": costs},
    }
    return {
        "command": "python -m perf.bench",
        "date": "today",
        "minutes": 1.0,
        "machine": {"name": "host", "cpu": "a CPU", "cpus": 1, "system": "Linux"},
        "others_busy_cpus": 0.25,
        "versions": {"Python": "3.11"},
        "runtime": {"isa": "avx2"},
        "threads": 1,
        "settings": {"rounds": 1, "turn": 0.1},
        "networks": {network: measured},
        "imports": {"instmodel": [0.030]},
        "memory": {"instmodel-1": [100 * 1024]},
        "memory_failures": {},
        "activations": {"RELU": {**costs, "NaN": [1.5]}},
    }


def test_targets_are_compared_with_what_was_reached():
    reached = {t.what: t for t in targets(_results("250-300-200", 80_000.0, 40_000.0))}
    share = reached["250-300-200, 1 thread: share of the FMA peak"]
    assert (share.reached, share.met) == (pytest.approx(0.8), True)
    ahead = reached["250-300-200, 1 thread: times as fast as the fastest peer"]
    assert (ahead.reached, ahead.met, ahead.note) == (2.0, True, "onnxruntime-1")
    assert ahead.share_asked == pytest.approx(1.15 * 0.4)
    assert share.share_asked is None
    one_row = reached["250-300-200, one row: times as fast as onnxruntime"]
    assert (one_row.reached, one_row.met) == (pytest.approx(2.0), False)
    values = reached["hostile values: cost, normal ones being 1"]
    assert (values.reached, values.met, values.note) == (1.5, False, "RELU, NaN")
    assert reached["250-300-200, 1 thread: memory per thread"].reached == 100
    assert reached["import beyond NumPy's"].met
    assert reached["30-16-8-1, 1 thread: times as fast as the fastest peer"].reached is None


def test_the_report_shows_figures_and_failures():
    results = _results("250-300-200", 80_000.0, 40_000.0)
    results["networks"]["250-300-200"]["failures"] = {"torch-1": "something else"}
    report = markdown(results)
    assert "| 250-300-200 | 100 (FMA) | 80 (80%) | 40 (2.00) |" in report
    assert "| import beyond NumPy's | ≤ 50 ms | 30 ms | met |  |  |" in report
    assert "Other processes kept 0.25 CPUs busy" in report
    assert "FAILED: torch-1 on 250-300-200" in report
    for part in report.split("\n\n"):
        if part.startswith("|"):  # every row of a table has as many cells as its header
            assert len({line.count("|") for line in part.splitlines()}) == 1


def _without_the_peer(results):
    """Return results in which the only peer failed."""
    for measured in results["networks"].values():
        for figures in ("choices", "rows_per_second", "latency_seconds", "load_seconds"):
            del measured[figures]["onnxruntime-1"]
        measured["failures"] = {"onnxruntime-1": "killed by signal 11 in load(0.03,)"}
    return results


def test_a_target_whose_only_peer_failed_is_not_judged():
    results = _without_the_peer(_results("250-300-200", 80_000.0, 40_000.0))
    reached = {t.what: t for t in targets(results)}
    for what in (
        "250-300-200, 1 thread: times as fast as the fastest peer",
        "250-300-200, one row: times as fast as onnxruntime",
    ):
        assert (reached[what].reached, reached[what].met) == (None, None)
        assert reached[what].failed == ("onnxruntime-1",)
    report = markdown(results)
    ahead = "250-300-200, 1 thread: times as fast as the fastest peer | ≥ 1.15"
    assert f"| {ahead} | – | **could not be judged** |  | onnxruntime-1 failed |" in report
    # Not asked for is not the same as failed.
    assert "30-16-8-1, 1 thread" not in report


def test_a_target_says_which_peers_it_was_judged_without():
    results = _results("250-300-200", 80_000.0, 40_000.0)
    results["networks"]["250-300-200"]["failures"] = {"torch-1": "…", "onnxruntime-2": "…"}
    results["memory_failures"] = {"torch-1": "exited with 3"}
    report = markdown(results)
    assert "| ≥ 1.15 | 2 | met | 46% | onnxruntime-1; torch-1 failed |" in report
    # It is quickest with one of its numbers of threads, and who knows with which.
    assert "one row: times as fast as onnxruntime | ≥ 2.5 | – | **could not be judged** |" in report
    assert "FAILED: torch-1 on the memory of 250-300-200" in report


def _mortal(kind):
    """Return a peer that dies where it loads a model, or needs memory, of some networks."""

    class Mortal(kind):
        def __init__(self, network, threads, mode):
            super().__init__(network, threads, mode)
            self._name = network.name
            if network.name == MEMORY_NETWORK:
                os._exit(3)

        def loaders(self, folder):
            if self._name == "30-16-8-1":
                signal.raise_signal(signal.SIGSEGV)
            return {}

    return Mortal


def _serve_the_mortal(connection, make, peer, threads):
    """Answer in a contender's process, where ours and OpenVINO's are mortal."""
    PEERS["instmodel"] = _mortal(InstModelPeer)
    PEERS["openvino"] = _mortal(NumPyPeer)
    workers._serve(connection, make, peer, threads)


_LIMITS = {"read-1": lambda seconds: 2e9, "fma/avx2-1": lambda seconds: 2e10}
_HASTE = Settings(
    rounds=1,
    turn=0.0,
    search=0.0,
    chunks=(None,),
    curve_rounds=1,
    curve_turn=0.0,
    sizes=(1,),
    peers_afresh=True,
)


@pytest.fixture
def start(monkeypatch):
    monkeypatch.setattr(workers, "_serve", _serve_the_mortal)
    with ExitStack() as stack:

        def start(*peers):
            started = [Worker(Contender(peer, 1)) for peer in peers]
            for worker in started:
                stack.callback(worker.close)
            return started

        yield start


class TestDeath:
    def test_the_others_are_measured_without_a_peer_that_dies(self, start):
        started = start("numpy", "openvino")
        measured = measure_network(NETWORKS["30-16-8-1"], started, _LIMITS, _HASTE)
        died = measured.pop("failures")
        assert list(died) == ["openvino-1"]
        assert died["openvino-1"].startswith("openvino-1: killed by signal 11 (Segm")
        assert "in load(" in died["openvino-1"]
        assert "openvino" not in str(measured)
        assert len(measured["rows_per_second"]["numpy-1"]) == 1

        # It is back for the next network.
        measured = measure_network(NETWORKS["64x20"], started, _LIMITS, _HASTE)
        assert measured["failures"] == {}
        assert list(measured["rows_per_second"]) == ["numpy-1", "openvino-1"]

    def test_our_own_ends_the_run(self, start):
        with pytest.raises(ContenderError, match=r"instmodel-1: killed by signal 11 .* in load"):
            measure_network(NETWORKS["30-16-8-1"], start("instmodel"), _LIMITS, _HASTE)
        choices = {"instmodel-1": {"mode": "", "chunk": None}}
        with pytest.raises(ContenderError, match=r"instmodel-1: exited with 3 in memory"):
            measure_memory([Contender("instmodel", 1)], choices, 1)

    def test_memory_is_measured_without_a_peer_that_dies(self, start):
        contenders = [Contender("openvino", 1), Contender("numpy", 1)]
        choices = {key: {"mode": "", "chunk": None} for key in ("openvino-1", "numpy-1")}
        measured, died = measure_memory(contenders, choices, 1)
        assert list(measured) == ["numpy-1"]
        assert list(died) == ["openvino-1"]
        assert died["openvino-1"].startswith("openvino-1: exited with 3 in memory(")

    def test_a_silent_peer_is_ended(self, start, monkeypatch):
        (worker,) = start("numpy")
        monkeypatch.setattr(workers, "_SECONDS_TO_ANSWER", 0)
        with pytest.raises(ContenderError, match="numpy-1: no answer in 0 s to prepare"):
            worker.call("prepare", "30-16-8-1", 1, (None,), 0.0)
        assert not worker._process.is_alive()


def test_a_peer_with_other_results_is_left_out(start, monkeypatch):
    monkeypatch.setattr("perf.measure._RTOL", 0.0)
    monkeypatch.setattr("perf.measure._ATOL", 0.0)
    measured = measure_network(NETWORKS["30-16-8-1"], start("numpy"), _LIMITS, _HASTE)
    assert "Mismatched elements" in measured["failures"]["numpy-1"]
    assert measured["rows_per_second"] == {}


class TestBench:
    @pytest.fixture(autouse=True)
    def _without_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "rich", None)  # as if it were not installed

    def test_help_needs_no_extra_and_explains_every_option(self, capsys):
        with pytest.raises(SystemExit) as caught:
            bench.main(["--help"])
        assert caught.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "`" not in said
        for option in ("--only NETWORK", "--peers", "--rounds N", "--output FOLDER"):
            assert option in said
        for text in ("networks to measure", "libraries to compare", "turns of each", "results go"):
            assert text in said

    def test_without_its_extra_it_says_so_before_it_measures(self, capsys):
        with pytest.raises(SystemExit) as caught:
            bench.main(["--quick", "--only", "10-1"])
        assert caught.value.code == 2
        assert "pip install 'instmodel-inference[bench]'" in capsys.readouterr().err
