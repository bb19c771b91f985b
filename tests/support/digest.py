"""Print a digest of what many models compute; `test_isa.py` compares it between processes.

Usage: python -m support.digest DOCUMENTS.json   (a list of documents)
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import instmodel as im
from support.documents import build
from support.strategies import samples


def digest(documents):
    """Return the SHA-256 of all buffers of all models, for batches of several sizes."""
    total = hashlib.sha256()
    for seed, document in enumerate(documents):
        model = build(document)
        share = min(0.1, 1 / model.feature_size)
        x = samples(67, model.feature_size, seed, hostile=True, share=share)
        whole = im.PredictConfig(buffer_slice=(0, model.required_memory))
        total.update(np.asarray(model.predict_parallel(x, whole)).tobytes())
        total.update(model.predict(x[:9]).tobytes())
        for row in x[:5]:
            total.update(model.predict(row).tobytes())
            buffer = np.zeros(model.required_memory, np.float32)
            buffer[: len(row)] = row
            model.predict_with_buffer(buffer)
            total.update(buffer.tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    texts = Path(sys.argv[1]).read_text()
    sys.stdout.write(f"{im.runtime_info()['isa']} {digest(json.loads(texts))}\n")
