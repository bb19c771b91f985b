"""The fast and the exact parser of CSV are one: quotes change neither values nor errors."""

from hypothesis import given
from hypothesis import strategies as st

import instmodel as im
from instmodel.tables.csv_file import CsvReader

NUMBERS = st.one_of(
    st.floats(width=32).map(str),
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(
        ["", " ", "1_0", "١", "1e400", "-0", ".5", "5.", "1e", "nan", "-inf", "infinity"]
    ),
    st.text("0123456789+-.eE_ naifx", max_size=6),
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_quoting_cells_changes_no_value_and_no_error(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "cells.csv"

    def outcome(cell):
        path.write_text("a,b\n" + "".join(f"{cell(x)},{cell(y)}\n" for x, y in rows))
        reader = CsvReader(path, ["b", "a"], 2)
        try:
            return [batch.tobytes() for batch in reader.batches()]
        except im.InstModelError as error:
            return error.code, error.actual
        finally:
            reader.close()

    assert outcome(str) == outcome('"{}"'.format)
