"""The libraries that are measured, one module each."""

from __future__ import annotations

import importlib.util

from perf.peers.base import Peer
from perf.peers.with_instmodel import InstModelPeer
from perf.peers.with_numpy import NumPyPeer
from perf.peers.with_onnxruntime import OnnxRuntimePeer
from perf.peers.with_openvino import OpenVinoPeer
from perf.peers.with_sklearn import SklearnPeer
from perf.peers.with_torch import TorchPeer

#: Every peer by the name of its module; ours first.
PEERS: dict[str, type[Peer]] = {
    peer.MODULE: peer
    for peer in (
        InstModelPeer,
        NumPyPeer,
        OnnxRuntimePeer,
        TorchPeer,
        OpenVinoPeer,
        SklearnPeer,
    )
}

__all__ = ["PEERS", "Peer", "installed"]


def installed() -> list[str]:
    """Return the modules of the peers that can be imported here."""
    modules = {name: (name, *peer.NEEDS) for name, peer in PEERS.items()}
    return [
        name
        for name, needed in modules.items()
        if all(importlib.util.find_spec(module) for module in needed)
    ]
