"""Delta tables that deltalake does not write: renamed columns, deletion vectors, broken logs."""

from __future__ import annotations

import base64
import binascii
import json
import struct
import uuid
from pathlib import Path

PLAIN = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def commit(folder, version, *actions):
    """Write a version of the log."""
    log = Path(folder, "_delta_log")
    log.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(action) + "\n" for action in actions)
    (log / f"{version:020}.json").write_text(text)


def protocol(*features):
    """What a reader and a writer must know."""
    both = {"readerFeatures": list(features), "writerFeatures": list(features)}
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **both}}


def metadata(fields, partition=(), **configuration):
    """The columns of a table; dots in the names of its properties are written ``__``."""
    return {
        "metaData": {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": list(partition),
            "configuration": {k.replace("__", "."): v for k, v in configuration.items()},
            "createdTime": 1,
        }
    }


def column(name, kind, physical=None, number=None):
    """A column, or a field of a struct; `physical` is its name in the files."""
    mapping = {}
    if physical is not None:
        mapping["delta.columnMapping.physicalName"] = physical
        mapping["delta.columnMapping.id"] = number
    return {"name": name, "type": kind, "nullable": True, "metadata": mapping}


def struct_of(*fields):
    """The type of a column of objects."""
    return {"type": "struct", "fields": list(fields)}


def add(folder, path, table, partition=None, deleted=None):
    """Write a data file, and return its line in the log."""
    import pyarrow.parquet as pq

    place = Path(folder, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place)
    action = {
        "path": path,
        "partitionValues": partition or {},
        "size": place.stat().st_size,
        "modificationTime": 1,
        "dataChange": True,
        "stats": json.dumps({"numRecords": len(table)}),
    }
    if deleted is not None:
        action["deletionVector"] = deleted
    return {"add": action}


def inside(rows):
    """A deletion vector that stands in the log."""
    data = _bitmap(rows)
    text = _z85(data + b"\0" * (-len(data) % 4))
    sizes = {"sizeInBytes": len(data), "cardinality": len(rows)}
    return {"storageType": "i", "pathOrInlineDv": text, **sizes}


def beside(folder, rows):
    """A deletion vector in a file of its own."""
    data, name = _bitmap(rows), uuid.uuid4()
    Path(folder).mkdir(parents=True, exist_ok=True)
    framed = struct.pack(">I", len(data)) + data + struct.pack(">I", binascii.crc32(data))
    Path(folder, f"deletion_vector_{name}.bin").write_bytes(b"\1" + framed)
    sizes = {"offset": 1, "sizeInBytes": len(data), "cardinality": len(rows)}
    return {"storageType": "u", "pathOrInlineDv": _z85(name.bytes), **sizes}


def _bitmap(rows):
    """A RoaringBitmapArray of one bitmap, whose containers are arrays."""
    groups = {}
    for row in sorted(rows):
        groups.setdefault(row >> 16, []).append(row & 0xFFFF)
    head = struct.pack("<II", 12346, len(groups))
    for key, values in groups.items():
        head += struct.pack("<HH", key, len(values) - 1)
    place = len(head) + 4 * len(groups)
    body = b""
    for values in groups.values():
        head += struct.pack("<I", place + len(body))
        body += struct.pack(f"<{len(values)}H", *values)
    return struct.pack("<iQI", 1681511377, 1, 0) + head + body


def _z85(data):
    # Base85 in the alphabet of ZeroMQ; the one of Python's b85encode is in another order.
    ours = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    python = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    return base64.b85encode(data).decode().translate(str.maketrans(python, ours))
