"""Keys as numbers, and rows grouped by them: no key is ever a Python object.

Design
------
A. `KeyTable` numbers keys in the order in which they come: their *slots* 0, 1, 2 … The bytes of all
   keys lie one behind the other. The index is a table of twice as many places, or more, that holds
   32 bits of a key's hash and its slot; a key whose place is taken lies in the next one.
B. What takes time is to wait for memory, at random places of tables larger than any cache. So keys
   are looked up some dozens at a time: all hashes, then all places, then all keys; each step asks
   for the memory of the next one.
C. The hash is SipHash-1-3 under a random key. Who chooses the keys of a table cannot choose them to
   fall into one place of the index.
D. `Grouper` brings rows together by counting, in time proportional to the rows.
"""

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cimport numpy as cnp

import os

import numpy as np

cnp.import_array()

cdef extern from "compiler.h" nogil:
    void IM_PREFETCH(const void *p)

# Keys that are looked up together.
cdef enum:
    TOGETHER = 32
# Keys between two looks at pending signals: some milliseconds.
cdef int64_t BETWEEN_SIGNALS = 1 << 17
# Rows ahead of the one that is grouped.
cdef int64_t AHEAD = 16
cdef uint64_t FIRST_PLACES = 128
# The index has room for 2^32 places of 32 bits of a hash.
cdef int64_t MOST_KEYS = 1 << 31


# ------------------------------------------------------------------------------------------- hash


cdef inline uint64_t rotated(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline uint64_t word_at(const uint8_t *p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, 8)
    return word


cdef struct Sip:
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline void stir(Sip *s) noexcept nogil:
    """A round of SipHash (Aumasson and Bernstein, 2012)."""
    s.a += s.b
    s.b = rotated(s.b, 13) ^ s.a
    s.a = rotated(s.a, 32)
    s.c += s.d
    s.d = rotated(s.d, 16) ^ s.c
    s.a += s.d
    s.d = rotated(s.d, 21) ^ s.a
    s.c += s.b
    s.b = rotated(s.b, 17) ^ s.c
    s.c = rotated(s.c, 32)


cdef inline void absorb(Sip *s, uint64_t word) noexcept nogil:
    s.d ^= word
    stir(s)
    s.a ^= word


cdef inline uint32_t hash_of(const uint8_t *key, int64_t size, const uint64_t *secret) noexcept nogil:
    """Return 32 bits of the SipHash-1-3 of a key of `size` bytes."""
    cdef Sip s
    cdef uint64_t last = <uint64_t> size << 56
    cdef int64_t whole = size & ~<int64_t> 7
    cdef int64_t i
    s.a = secret[0] ^ <uint64_t> 0x736f6d6570736575
    s.b = secret[1] ^ <uint64_t> 0x646f72616e646f6d
    s.c = secret[0] ^ <uint64_t> 0x6c7967656e657261
    s.d = secret[1] ^ <uint64_t> 0x7465646279746573
    for i in range(0, whole, 8):
        absorb(&s, word_at(key + i))
    if whole != size:
        memcpy(&last, key + whole, size - whole)
    absorb(&s, last)
    s.c ^= 0xff
    stir(&s)
    stir(&s)
    stir(&s)
    return <uint32_t> ((s.a ^ s.b ^ s.c ^ s.d) >> 32)


# ------------------------------------------------------------------------------------------- keys


# Keys of a call, wherever they lie: row after row, or between offsets of 4 or 8 bytes.
cdef struct Keys:
    const uint8_t *data
    int64_t size         # of all keys together
    int64_t width        # of each key; 0: they lie between offsets
    const int32_t *short_offsets
    const int64_t *offsets


cdef struct Key:
    const uint8_t *data
    int64_t size


cdef inline Key key_at(const Keys *keys, int64_t row) noexcept nogil:
    """Return a key; a size below 0 says that the offsets are none of this data."""
    cdef Key key
    cdef int64_t start, stop
    if keys.width:
        start, stop = row * keys.width, (row + 1) * keys.width
    elif keys.offsets != NULL:
        start, stop = keys.offsets[row], keys.offsets[row + 1]
    else:
        start, stop = keys.short_offsets[row], keys.short_offsets[row + 1]
    key.data = keys.data + start
    key.size = stop - start if 0 <= start <= stop <= keys.size else -1
    return key


cdef inline bint same_bytes(const uint8_t *one, const uint8_t *other, int64_t size) noexcept nogil:
    if size == 8:
        return word_at(one) == word_at(other)
    return size == 0 or memcmp(one, other, size) == 0


cdef inline uint64_t entry_of(uint32_t h, int64_t slot) noexcept nogil:
    return <uint64_t> h << 32 | <uint64_t> (slot + 1)


cdef inline int64_t slot_in(uint64_t entry) noexcept nogil:
    """Return the slot of an entry of the index, -1 of an empty one."""
    return <int64_t> <uint32_t> entry - 1


cdef inline void put(uint64_t *index, uint64_t mask, uint32_t h, int64_t slot) noexcept nogil:
    """Put a slot into the first free place of an index."""
    cdef uint64_t place = h & mask
    while index[place]:
        place = (place + 1) & mask
    index[place] = entry_of(h, slot)


cdef enum Fault:
    NONE
    NO_MEMORY
    TOO_MANY
    BAD_OFFSETS


cdef class KeyTable:
    """Keys, and the slot of each: its number in the order in which they came.

    Parameters
    ----------
    width : int
        Bytes of each key; 0 for keys of any length.
    """

    cdef readonly Py_ssize_t width
    cdef int64_t count
    cdef uint64_t *index        # (mask + 1,): hash << 32 | slot + 1; 0 where nothing is
    cdef uint64_t mask
    cdef uint8_t *bytes_of_keys
    cdef int64_t bytes_room
    cdef int64_t *ends          # (ends_room,): where each key ends; only for keys of any length
    cdef int64_t ends_room
    cdef uint64_t[2] secret

    def __cinit__(self, Py_ssize_t width):
        if width < 0:
            raise ValueError("keys have no width below 0")
        cdef bytes random = os.urandom(16)
        memcpy(self.secret, <const char *> random, 16)
        self.width = width
        self.mask = FIRST_PLACES - 1
        self.index = <uint64_t *> PyMem_RawCalloc(FIRST_PLACES, sizeof(uint64_t))
        if self.index == NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_RawFree(self.index)
        PyMem_RawFree(self.bytes_of_keys)
        PyMem_RawFree(self.ends)

    def __len__(self):
        return self.count

    def find(self, const uint8_t[::1] data not None, cnp.ndarray offsets,
             int64_t[::1] slots not None):
        """Look keys up.

        Parameters
        ----------
        data : ndarray of uint8
            The keys: one behind the other, or what `offsets` point into.
        offsets : ndarray of int32 or int64 (N + 1,), or None
            Where each key starts and ends; None for keys of one width.
        slots : ndarray of int64 (N,)
            OUT: the slot of each key, -1 for an unknown one.

        Raises
        ------
        ValueError
            The offsets point out of the data, or go back.
        """
        self._look_up(data, offsets, slots, False)

    def find_or_add(self, const uint8_t[::1] data not None, cnp.ndarray offsets,
                    int64_t[::1] slots not None):
        """Look keys up as `find` does, and add the unknown ones.

        After an error, some of them may have been added.
        """
        self._look_up(data, offsets, slots, True)

    cdef _look_up(self, const uint8_t[::1] data, cnp.ndarray offsets, int64_t[::1] slots, bint add):
        cdef Keys keys
        cdef int64_t rows = slots.shape[0]
        cdef int64_t start, stop
        cdef Fault fault = NONE
        keys.data = &data[0] if data.shape[0] else NULL
        keys.size = data.shape[0]
        keys.width = self.width
        keys.offsets, keys.short_offsets = NULL, NULL
        if self.width:
            if offsets is not None or keys.size != rows * self.width:
                raise ValueError("not as many keys as slots")
        else:
            if (offsets is None or cnp.PyArray_NDIM(offsets) != 1
                    or cnp.PyArray_DIM(offsets, 0) != rows + 1
                    or not cnp.PyArray_ISCARRAY_RO(offsets)):
                raise ValueError("not as many keys as slots")
            if cnp.PyArray_TYPE(offsets) == cnp.NPY_INT32:
                keys.short_offsets = <const int32_t *> cnp.PyArray_DATA(offsets)
            elif cnp.PyArray_TYPE(offsets) == cnp.NPY_INT64:
                keys.offsets = <const int64_t *> cnp.PyArray_DATA(offsets)
            else:
                raise ValueError("offsets are int32 or int64")
        for start in range(0, rows, BETWEEN_SIGNALS):
            stop = min(rows, start + BETWEEN_SIGNALS)
            with nogil:
                fault = self._slots(&keys, start, stop, &slots[0], add)
            if fault == BAD_OFFSETS:
                raise ValueError("the offsets are none of this data")
            if fault == TOO_MANY:
                raise OverflowError(f"more than {MOST_KEYS} keys")
            if fault == NO_MEMORY:
                raise MemoryError()
            PyErr_CheckSignals()

    cdef Fault _slots(self, const Keys *keys, int64_t start, int64_t stop, int64_t *slots,
                      bint add) noexcept nogil:
        cdef uint32_t[TOGETHER] hashes
        cdef Key key
        cdef Fault fault
        cdef int64_t slot, i, some, row = start
        while row < stop:
            some = min(<int64_t> TOGETHER, stop - row)
            if add:
                fault = self._make_room(some)
                if fault != NONE:
                    return fault
            for i in range(some):
                key = key_at(keys, row + i)
                if key.size < 0:
                    return BAD_OFFSETS
                hashes[i] = hash_of(key.data, key.size, self.secret)
                IM_PREFETCH(self.index + (hashes[i] & self.mask))
            for i in range(some):
                slot = slot_in(self.index[hashes[i] & self.mask])
                if slot >= 0:
                    if self.width:
                        IM_PREFETCH(self.bytes_of_keys + slot * self.width)
                    else:
                        IM_PREFETCH(self.ends + slot)
            for i in range(some):
                slot = self._slot(key_at(keys, row + i), hashes[i], add)
                if slot == -2:
                    return NO_MEMORY
                slots[row + i] = slot
            row += some
        return NONE

    cdef int64_t _slot(self, Key key, uint32_t h, bint add) noexcept nogil:
        """Return the slot of a key; -1: there is none; -2: no memory for it."""
        cdef uint64_t place = h & self.mask
        cdef uint64_t entry
        cdef Key other
        while True:
            entry = self.index[place]
            if entry == 0:
                break
            if <uint32_t> (entry >> 32) == h:
                other = self._key(slot_in(entry))
                if other.size == key.size and same_bytes(other.data, key.data, key.size):
                    return slot_in(entry)
            place = (place + 1) & self.mask
        if not add:
            return -1
        if not self._append(key):
            return -2
        self.index[place] = entry_of(h, self.count - 1)
        return self.count - 1

    cdef inline Key _key(self, int64_t slot) noexcept nogil:
        cdef Key key
        cdef int64_t start
        if self.width:
            key.data = self.bytes_of_keys + slot * self.width
            key.size = self.width
        else:
            start = self.ends[slot - 1] if slot else 0
            key.data = self.bytes_of_keys + start
            key.size = self.ends[slot] - start
        return key

    cdef bint _append(self, Key key) noexcept nogil:
        cdef int64_t start = self._used()
        cdef int64_t room
        cdef uint8_t *larger
        if start + key.size > self.bytes_room:
            room = start + key.size + (start + key.size) // 2 + 256
            larger = <uint8_t *> PyMem_RawRealloc(self.bytes_of_keys, room)
            if larger == NULL:
                return False
            self.bytes_of_keys, self.bytes_room = larger, room
        if key.size:
            memcpy(self.bytes_of_keys + start, key.data, key.size)
        if not self.width:
            self.ends[self.count] = start + key.size
        self.count += 1
        return True

    cdef int64_t _used(self) noexcept nogil:
        """Return the bytes of all keys."""
        if self.width:
            return self.count * self.width
        return self.ends[self.count - 1] if self.count else 0

    cdef Fault _make_room(self, int64_t more) noexcept nogil:
        """Let the index and the ends have room for some more keys."""
        cdef int64_t room
        cdef int64_t *larger
        cdef uint64_t places = self.mask + 1
        cdef uint64_t *index
        cdef uint64_t old
        if self.count + more > MOST_KEYS:
            return TOO_MANY
        if not self.width and self.count + more > self.ends_room:
            room = (self.count + more) * 3 // 2
            larger = <int64_t *> PyMem_RawRealloc(self.ends, room * sizeof(int64_t))
            if larger == NULL:
                return NO_MEMORY
            self.ends, self.ends_room = larger, room
        while <uint64_t> (self.count + more) > places // 2:
            places *= 2
        if places == self.mask + 1:
            return NONE
        index = <uint64_t *> PyMem_RawCalloc(places, sizeof(uint64_t))
        if index == NULL:
            return NO_MEMORY
        for old in range(self.mask + 1):
            if self.index[old]:
                put(index, places - 1, <uint32_t> (self.index[old] >> 32), slot_in(self.index[old]))
        PyMem_RawFree(self.index)
        self.index, self.mask = index, places - 1
        return NONE

    def truncate(self, int64_t count):
        """Forget all keys but the first `count`.

        It needs no memory, and no signal comes between: it happens, or it has not been called.
        """
        if not 0 <= count <= self.count:
            raise IndexError("no such slot")
        cdef int64_t slot
        cdef Key key
        with nogil:
            self.count = count
            memset(self.index, 0, (self.mask + 1) * sizeof(uint64_t))
            for slot in range(count):
                key = self._key(slot)
                put(self.index, self.mask, hash_of(key.data, key.size, self.secret), slot)

    def keys(self, Py_ssize_t start, Py_ssize_t stop):
        """Return the keys of the slots start … stop.

        Returns
        -------
        data : ndarray of uint8
        offsets : ndarray of int64 (stop - start + 1,), or None for keys of one width
        """
        if not 0 <= start <= stop <= self.count:
            raise IndexError("no such slots")
        cdef int64_t first = self._start(start)
        cdef int64_t size = self._start(stop) - first
        cdef cnp.ndarray data = np.empty(size, np.uint8)
        if size:
            memcpy(cnp.PyArray_DATA(data), self.bytes_of_keys + first, size)
        if self.width:
            return data, None
        cdef int64_t[::1] offsets = np.zeros(stop - start + 1, np.int64)
        cdef int64_t slot
        for slot in range(start, stop):
            offsets[slot - start + 1] = self.ends[slot] - first
        return data, np.asarray(offsets)

    cdef int64_t _start(self, int64_t slot) noexcept nogil:
        if self.width:
            return slot * self.width
        return self.ends[slot - 1] if slot else 0


# ----------------------------------------------------------------------------------------- groups


cdef class Grouper:
    """Brings the rows of each key together.

    It keeps the memory that it needs: 4 bytes for each slot there is.
    """

    cdef int32_t *groups    # (room,): the group of a slot in the call that runs, else -1
    cdef int64_t room

    def __dealloc__(self):
        PyMem_RawFree(self.groups)

    cdef _make_room(self, int64_t slots):
        cdef int64_t room, slot
        cdef int32_t *larger
        if slots <= self.room:
            return
        room = slots * 3 // 2
        larger = <int32_t *> PyMem_RawRealloc(self.groups, room * sizeof(int32_t))
        if larger == NULL:
            raise MemoryError()
        self.groups = larger
        for slot in range(self.room, room):
            larger[slot] = -1
        self.room = room

    def group(self, const int64_t[::1] slots not None, int64_t slot_count,
              const int64_t[::1] times=None, const int64_t[::1] last=None):
        """Group rows by their slot.

        Parameters
        ----------
        slots : ndarray of int64 (N,)
            The slot of each row, 0 ≤ slot < slot_count; N < 2^31.
        slot_count : int
        times : ndarray of int64 (N,), optional
            What must not go back within a group.
        last : ndarray of int64 (slot_count,)
            With `times`: what came last in each slot, in calls before.

        Returns
        -------
        rows : ndarray of int64 (N,)
            The rows of the first group in their order, then those of the second …
        starts : ndarray of int64 (G + 1,)
            Where in `rows` each group starts; the last one ends.
        members : ndarray of int64 (G,)
            The slot of each group; groups stand in the order of their first rows.
        latest : ndarray of int64 (G,), or None
            What of `times` came last in each group.
        back : int
            The first row that goes back in its group; -1: none does, else the others mean nothing.
        """
        cdef int64_t count = slots.shape[0]
        if count >= 1 << 31 or (times is not None and (times.shape[0] != count or last is None
                                                       or last.shape[0] < slot_count)):
            raise ValueError("the arrays do not fit each other")
        self._make_room(slot_count)
        cdef cnp.ndarray rows = np.empty(count, np.int64)
        # What is shorter than this is only known at the end.
        cdef cnp.ndarray members = np.empty(count, np.int64)
        cdef cnp.ndarray starts = np.zeros(count + 1, np.int64)
        cdef cnp.ndarray latest = None if times is None else np.empty(count, np.int64)
        cdef cnp.ndarray row_groups = np.empty(count, np.int32)
        cdef const int64_t *slot_of = &slots[0] if count else NULL
        cdef const int64_t *time_of = NULL
        cdef const int64_t *last_of = NULL
        cdef int64_t *latest_of = NULL
        cdef int64_t groups, back = -1
        if times is not None and count:
            time_of, last_of = &times[0], &last[0]
            latest_of = <int64_t *> cnp.PyArray_DATA(latest)
        with nogil:
            groups = self._number(
                slot_of, count, slot_count, time_of, last_of,
                <int32_t *> cnp.PyArray_DATA(row_groups), <int64_t *> cnp.PyArray_DATA(members),
                <int64_t *> cnp.PyArray_DATA(starts), latest_of, &back,
            )
            if groups >= 0:
                place_rows(<int32_t *> cnp.PyArray_DATA(row_groups), count, groups,
                           <int64_t *> cnp.PyArray_DATA(starts),
                           <int64_t *> cnp.PyArray_DATA(rows))
        if groups < 0:
            raise ValueError("no such slot")
        found = None if times is None else latest[:groups]
        return rows, starts[: groups + 1], members[:groups], found, back

    cdef int64_t _number(self, const int64_t *slots, int64_t count, int64_t slot_count,
                         const int64_t *times, const int64_t *last, int32_t *row_groups,
                         int64_t *members, int64_t *sizes, int64_t *latest,
                         int64_t *back) noexcept nogil:
        """Number the groups, and count their rows into sizes[group + 1]; -1: no such slot."""
        cdef int64_t row, slot, group, groups = 0
        cdef bint known = True
        for row in range(count):
            if row + AHEAD < count and <uint64_t> slots[row + AHEAD] < <uint64_t> slot_count:
                IM_PREFETCH(self.groups + slots[row + AHEAD])
                if times != NULL:
                    IM_PREFETCH(last + slots[row + AHEAD])
            slot = slots[row]
            if not 0 <= slot < slot_count:
                known = False
                break
            group = self.groups[slot]
            if group < 0:
                group = groups
                groups += 1
                self.groups[slot] = <int32_t> group
                members[group] = slot
                if times != NULL:
                    latest[group] = last[slot]
            row_groups[row] = <int32_t> group
            sizes[group + 1] += 1
            if times != NULL:
                if times[row] < latest[group]:
                    if back[0] < 0:
                        back[0] = row
                else:
                    latest[group] = times[row]
        for group in range(groups):
            if group + AHEAD < groups:
                IM_PREFETCH(self.groups + members[group + AHEAD])
            self.groups[members[group]] = -1
        return groups if known else -1


cdef void place_rows(const int32_t *row_groups, int64_t count, int64_t groups, int64_t *starts,
                     int64_t *rows) noexcept nogil:
    """Place rows by their groups; `starts`: IN sizes at group + 1, OUT where groups start."""
    cdef int64_t group, row
    for group in range(groups):
        starts[group + 1] += starts[group]
    for row in range(count):
        rows[starts[row_groups[row]]] = row
        starts[row_groups[row]] += 1
    # Each start is where its group ends now, which is where the next one starts.
    for group in range(groups, 0, -1):
        starts[group] = starts[group - 1]
    starts[0] = 0
