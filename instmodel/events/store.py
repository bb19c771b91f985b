"""The states of sequences between calls, by key."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from instmodel.base.extras import require
from instmodel.errors import InputError
from instmodel.events import store_file
from instmodel.events.columns import as_arrow, nulls_in
from instmodel.events.held import Floats, Held, Undo
from instmodel.tables.streams import is_arrow

if TYPE_CHECKING:
    from instmodel.events.recurrent import RecurrentModel
    from instmodel.stores import AnyPath


class StateStore:
    """The state of each sequence that a recurrent model has seen, by the key of the sequence.

    It is filled by `InstructionModel.predict_events`, which goes on where it left each sequence. A
    key takes its own bytes, some 30 bytes, and the state: 4 bytes for each of its S values. Threads
    may share it: they take turns. Needs the extra ``arrow``.

    Parameters
    ----------
    model : InstructionModel
        Whose states they are. Another one's are refused, by the digest.

    Attributes
    ----------
    digest : str
        That of the model.
    state_size : int
        S.
    by : list of str
        The columns of the keys; empty before the first of them.

    Raises
    ------
    InputError
        ``state_size_mismatch``: the model has no state; ``invalid_type``: it is none.
    """

    def __init__(self, model: RecurrentModel) -> None:
        if not hasattr(model, "require_state"):
            raise InputError(
                "invalid_type",
                "load the model first: instmodel.load(path)",
                field="model",
                expected="an InstructionModel",
                actual=type(model).__name__,
            )
        model.require_state()
        self.digest = model.digest
        self.state_size = model.state_size
        self._held: Held | None = None
        self._lock = threading.RLock()
        self._undo: Undo | None = None
        self._is_changing = False

    def __len__(self) -> int:
        with self._settled() as held:
            return 0 if held is None else len(held)

    @property
    def by(self) -> list[str]:
        """The columns of the keys, see the class."""
        with self._settled() as held:
            return [] if held is None else list(held.keys.names)

    @property
    def order(self) -> str | None:
        """The column that has put events in order, if any has."""
        with self._settled() as held:
            return None if held is None or held.order is None else held.order.name

    def get(self, key: Any) -> Floats | None:
        """Return the state of a sequence, a copy (S,) of float32; None: its key is unknown.

        Parameters
        ----------
        key : int, str, bytes, bool, date, datetime, time, Decimal, or a tuple of them
            A tuple where several columns make a key.

        Raises
        ------
        InputError
            ``invalid_type``: the keys are of another type.
        """
        with self._settled() as held:
            if held is None:
                return None
            # Of some of its own types, NumPy alone knows how to tell them.
            keys = np.array([key]) if isinstance(key, np.generic) else [key]
            slot = int(held.keys.find(_arrays(held, keys, "key"))[0])
            return None if slot < 0 else held.states[slot].copy()

    def drop(self, keys: Any) -> int:
        """Forget sequences: their next events are their first ones.

        Parameters
        ----------
        keys : sequence of keys, array, pandas or Polars Series, Arrow array
            As in `get`. Unknown ones are passed over.

        Returns
        -------
        int
            How many were known.
        """
        if isinstance(keys, str | bytes) or not hasattr(keys, "__len__"):
            raise InputError(
                "invalid_type", "wrong type", field="keys", expected="a sequence of keys"
            )
        with self._settled() as held:
            if held is None or not len(keys):
                return 0
            slots = held.keys.find(_arrays(held, keys, "keys"))
            marks = np.ones(len(held), bool)
            marks[slots[slots >= 0]] = False
            dropped = len(held) - int(np.count_nonzero(marks))
            if dropped:
                self._held = held.chosen(marks)
            return dropped

    def save(self, path: AnyPath) -> None:
        """Write the store into a file, whole or not at all.

        Parameters
        ----------
        path : path-like or URL
            ``.parquet``, or ``.arrow``, ``.feather``, ``.ipc``: a table with the columns of the
            keys, ``state`` (lists of S float32), and ``order``, the time of the last event, if
            events had one. The model's digest is in the schema's metadata.

        Raises
        ------
        InputError
            ``invalid_table``: the name has no such ending.
        OSError
        """
        with self._settled() as held:
            store_file.write(path, held, self.digest, self.state_size)

    @classmethod
    def load(cls, path: AnyPath, model: RecurrentModel) -> Self:
        """Read a file that `save` has written.

        Parameters
        ----------
        path : path-like or URL
        model : InstructionModel
            The one whose states they are.

        Raises
        ------
        InstModelError
            ``state_model_mismatch``: the states of another model. ``invalid_table``,
            ``missing_column``, ``null_value``, ``invalid_cell``, ``unsupported_version``: a
            damaged file, or another one.
        OSError
        """
        store = cls(model)
        store._held = store_file.read(path, store.digest, store.state_size)
        return store

    def check(self, model: RecurrentModel) -> None:
        """Refuse to go on with another model.

        Raises
        ------
        InputError
            ``state_model_mismatch``
        """
        if model.digest != self.digest:
            raise store_file.mismatch(model.digest, self.digest)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} sequences, digest={self.digest[:12]}…)"

    @contextlib.contextmanager
    def _settled(self) -> Iterator[Held | None]:
        """Hand out what is held, when no other thread changes it, and nothing is half done."""
        with self._lock:
            if self._is_changing:
                raise RuntimeError("a call of this thread is changing the store")
            if self._undo is not None:
                # Ctrl-C came while a call was taken back: what is half done is done again.
                self._held = self._undo.take_back()
                self._undo = None
            yield self._held

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Undo]:
        """Let a call change what is held: all of it in the end, or nothing."""
        with self._settled() as held:
            undo = self._undo = Undo(held)
            try:
                self._is_changing = True
                yield undo
                self._undo = None
            finally:
                self._is_changing = False
                with self._settled():
                    pass


def _arrays(held: Held, keys: Any, field: str) -> list[Any]:
    """Return keys that a caller gives as columns."""
    pa = require("pyarrow", "arrow")
    names, types = held.keys.names, held.keys.types
    columns = [keys]
    if len(types) > 1:
        if not all(isinstance(key, tuple) and len(key) == len(types) for key in keys):
            raise _no_keys(field, f"a tuple of {', '.join(names)}")
        columns = list(zip(*keys, strict=True))
    found = []
    for name, kind, column in zip(names, types, columns, strict=True):
        is_array = is_arrow(column) or hasattr(column, "dtype")
        try:
            array = as_arrow(column if is_array else list(column), name)
            if _are_alike(array.type, kind):
                array = array.cast(kind)
        except (InputError, pa.ArrowInvalid) as error:
            raise _no_keys(field, str(kind), getattr(error, "actual", error)) from None
        if len(nulls_in(array)):
            raise _no_keys(field, str(kind), "null")
        found.append(array)
    try:
        return held.keys.read(found)
    except InputError as error:
        raise _no_keys(field, str(error.expected), error.actual) from None


def _are_alike(given: Any, kind: Any) -> bool:
    """Whether keys are numbers of another width or scale, as those of Python have none."""
    import pyarrow as pa

    checks = (pa.types.is_integer, pa.types.is_decimal)
    return any(check(given) and check(kind) for check in checks)


def _no_keys(field: str, expected: str, actual: Any = None) -> InputError:
    message = "the keys of the store are others"
    return InputError("invalid_type", message, field=field, expected=expected, actual=actual)


def checked_store(value: Any) -> StateStore:
    """Return a store; refuse what is none, such as its path.

    Raises
    ------
    InputError
        ``invalid_type``
    """
    if isinstance(value, StateStore):
        return value
    raise InputError(
        "invalid_type",
        "make it of the model, or load it: StateStore.load(path, model)",
        field="states",
        expected="a StateStore",
        actual=type(value).__name__,
    )
