"""A slow interpreter of the words of a GPU model, written from docs/gpu.md alone.

It shares no code with the package's reader, and every access is checked: what is outside of the
model's words, of the compute buffer or of the section that it belongs to raises `OutOfRange`.
"""

from __future__ import annotations

import numpy as np

from instmodel import reference
from support import strategies

ACTIVATIONS = dict(enumerate(strategies.ACTIVATIONS, start=1))


class OutOfRange(Exception):
    pass


class Cells:
    """A list that knows no negative index and no slice that is cut off."""

    def __init__(self, items, start=0, count=None):
        self.items, self.start = items, start
        self.count = len(items) if count is None else count
        if not 0 <= start <= start + self.count <= len(items):
            raise OutOfRange(f"section {start} + {self.count} of {len(items)}")

    def place(self, start, count):
        if not (start >= 0 and count >= 0 and start + count <= self.count):
            raise OutOfRange(f"{start} + {count} of {self.count}")
        return slice(self.start + start, self.start + start + count)

    def __getitem__(self, at):
        return self.items[self.place(*at)].copy()

    def __setitem__(self, at, values):
        place = self.place(*at)
        assert len(values) == place.stop - place.start
        self.items[place] = values


@np.errstate(all="ignore")  # infinities and NaN are results here, too
def run(words, x, state=None):
    """Return the compute buffer, float64, after a run on the input `x` (F,).

    Of a recurrent model that is one step, from `state` (S,) or from the first state; and `state`
    holds the next one afterwards.
    """
    words = np.asarray(words, np.uint32)
    cells = Cells(words)
    version = int(cells[1, 1][0])
    h = [int(w) for w in cells[0, {1: 13, 2: 17, 3: 20}[version]]]
    code = Cells(words, h[6], 8 * h[5])
    weights = Cells(words, h[7], h[8])
    parameters = Cells(words, h[9], h[10])
    integers, maps = (
        (Cells(words, h[13], h[14]), Cells(words, h[15], h[16])) if version > 1 else (None, None)
    )
    buffer = Cells(np.zeros(h[4]))
    buffer[0, h[2]] = reference._constant(x)

    def floats(section, start, count):
        return reference._constant(section[start, count].view(np.float32))

    states = Cells(words, h[17], h[18]) if version > 2 else Cells([])
    rows = [[int(w) for w in states[at, 4]] for at in range(0, states.count, 4)]
    for start, size, initial, place in rows:
        if state is not None:
            buffer[start, size] = Cells(state, 0, h[19])[place, size]
        elif initial != 0xFFFFFFFF:
            buffer[start, size] = floats(parameters, initial, size)

    def affine(start, rows, cols, values):
        matrix = floats(weights, start, rows * cols).reshape(rows, cols)
        y = floats(weights, start + rows * cols, rows)
        for k in range(cols):
            y = reference._in_float32_range(y + matrix[:, k] * values[k])
        return y

    def activated(gpu_id, values):
        return reference.ACTIVATIONS[ACTIVATIONS[gpu_id]](values[np.newaxis])[0]

    for index in range(h[5]):
        op, i, o, n, p0, p1, p2, _ = (int(w) for w in code[8 * index, 8])
        if op == 1:
            y = affine(p0, n, p1, buffer[i, p1])
            y = activated(p2, y) if p2 else y
        elif op == 2:
            y = activated(p2, buffer[i, n])
        elif op == 3:
            y = buffer[i, n] + floats(parameters, p0, n)
        elif op == 4:
            y = buffer[i, n] * floats(parameters, p0, n)
        elif op == 5:
            y = buffer[i, n]
        elif op == 6:
            y = activated(3, affine(p0, n, p1, buffer[i, p1])) * buffer[p2, n]
        elif op == 7:
            given = buffer[i, p1]
            y = [Cells(given)[int(index), 1][0] for index in integers[p0, n]]
        elif op == 8:
            keys = maps[p0, p1].view(np.int32).tolist()
            key = reference._map_key(buffer[i, 1][0])
            start = p0 + p1 + n * keys.index(key) if key in keys else p2
            y = floats(maps, start, n)
        elif op == 9:
            y = buffer[i, n]
            y = y if p0 == 0xFFFFFFFF else np.maximum(y, floats(parameters, p0, n))
            y = y if p1 == 0xFFFFFFFF else np.minimum(y, floats(parameters, p1, n))
        elif op in (10, 11):
            parts = [buffer[int(start), n] for start in integers[p0, p1]]
            y = parts[0]
            for part in parts[1:]:
                y = reference._in_float32_range(y + part if op == 10 else y * part)
        elif op in (12, 13):
            heads = np.repeat(buffer[p0, p1], n // p1)
            y = buffer[i, n] + heads if op == 12 else buffer[i, n] * heads
        elif op == 14:
            y = [buffer[i, p1].sum()]
        else:
            raise AssertionError(f"opcode {op}")
        buffer[o, n] = reference._in_float32_range(np.asarray(y))
    for start, size, _, place in rows if state is not None else []:
        Cells(state)[place, size] = buffer[start, size]
    return buffer.items
