"""Arrow files and streams, whole and broken."""

from pathlib import Path

import numpy as np
import pytest
from support.table_files import fails, read, score, table

pa = pytest.importorskip("pyarrow")


def test_a_stream_is_arrow_too(model):
    whole = table()
    with pa.ipc.new_stream("in.arrow", whole.schema) as writer:
        writer.write_table(whole, max_chunksize=999)
    assert score(model, "in.arrow", "-o", "out.arrow") == 0
    assert read("out.arrow")["output_0"].equals(whole["a"])


def test_a_stream_that_is_cut_names_its_file(model, capsys):
    with pa.ipc.new_stream("whole.arrow", table(5000).schema) as writer:
        writer.write_table(table(5000))
    whole = Path("whole.arrow").read_bytes()
    Path("cut.arrow").write_bytes(whole[: len(whole) // 2])
    assert "cut.arrow: " in fails(capsys, model, "cut.arrow", "-o", "out.csv")
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_columns_of_arrow_that_nobody_wants_are_not_decoded(model, opened):
    noise = np.random.default_rng(0).bytes(1 << 20)
    values = pa.table({"a": [1.0], "other": [noise], "b": [2.0]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with opened("in.arrow", values.schema, options=options) as writer:
        writer.write_table(values)
    damaged = bytearray(Path("in.arrow").read_bytes())
    # zstd keeps noise as it is; before it stands the number that every frame begins with.
    frame = damaged.rindex(b"\x28\xb5\x2f\xfd", 0, damaged.index(noise[1000:1100]))
    damaged[frame : frame + 4] = bytes(4)
    Path("in.arrow").write_bytes(damaged)
    assert score(model, "in.arrow", "-o", "out.csv", "--keep", "a") == 0
    assert Path("out.csv").read_text().splitlines()[1] == "1,1,2"
