"""Documents to objects and back: exact, complete, and through files."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
from support.documents import build, dense, everything, identity, trainer_exports

import instmodel as im

Info = im.InstructionModelInfo


def rounded(document):
    """A document with every number as float32 has it."""
    if isinstance(document, dict):
        return {key: rounded(value) for key, value in document.items()}
    if isinstance(document, list):
        return [rounded(value) for value in document]
    return float(np.float32(document)) if isinstance(document, float) else document


def bits(array):
    return np.asarray(array, np.float32).view(np.uint32)


def test_types_of_the_parts():
    info = Info.from_dict(everything())
    assert info.features == ["x[4]", "key", "extra"]
    assert info.feature_size is None
    assert info.buffer_sizes == everything()["buffer_sizes"]
    for w in info.weights:
        assert (w.dtype, w.ndim, w.flags.c_contiguous) == (np.float32, 2, True)
    for vectors in (info.bias, info.parameters, info.maps[0].values()):
        assert all((v.dtype, v.ndim) == (np.float32, 1) for v in vectors)
    assert all(type(key) is int for key in info.maps[0])
    assert info.maps[0][-3].tolist() == [0.125, 4.0]
    assert (info.validation_data, info.metadata) == (None, None)


def test_a_document_shows_itself_in_one_line():
    info = Info.from_dict(dense())
    count = sum(w.size for w in info.weights)
    sizes, instructions = len(info.buffer_sizes), len(info.instructions)
    shown = f"InstructionModelInfo(buffers={sizes}, instructions={instructions}, weights={count})"
    assert repr(info) == shown


def test_to_dict_gives_the_document_back():
    for document in (dense(), everything(), identity(3, 2)):
        assert Info.from_dict(document).to_dict() == rounded(document)
        assert json.loads(Info.from_dict(document).to_json()) == rounded(document)
    for case in trainer_exports():
        got = Info.from_dict(case["model"]).to_dict()
        twin = Info.from_dict(got)
        assert twin.to_json() == Info.from_dict(case["model"]).to_json()
        assert {k: v for k, v in case["model"].items() if v or k == "features"}.keys() == got.keys()


def test_objects_and_documents_are_the_same():
    info = Info(
        features=["a", "b"],
        buffer_sizes=[2, 3, 1],
        instructions=[
            im.Dot(input=0, output=1, weights=0, activation=im.Activation.TANH),
            im.MulElementwise(input=1, parameters=0),
            im.Dot(input=1, output=2, weights=1, activation="SIGMOID"),
        ],
        weights=[np.array(w) for w in dense()["weights"]],
        bias=[tuple(b) for b in dense()["bias"]],
        parameters=np.array(dense()["parameters"]),
    )
    assert info.to_dict() == Info.from_dict(dense()).to_dict()


def test_arrays_are_copied_and_converted():
    w = np.asfortranarray(np.ones((3, 2)))
    info = Info(
        feature_size=2,
        buffer_sizes=np.array([2, 3]),
        instructions=(im.Dot(input=0, output=1, weights=0),),
        weights=[w],
        bias=[np.arange(3)],
    )
    w[:] = 7
    assert info.weights[0].tolist() == [[1.0, 1.0]] * 3
    assert info.weights[0].flags.c_contiguous
    assert info.bias[0].dtype == np.float32
    assert info.buffer_sizes == [2, 3]
    assert all(type(size) is int for size in info.buffer_sizes)


@pytest.mark.parametrize(
    "value",
    [0.1, 1 / 3, 1e-45, -1e-40, 1.1754943e-38, 3.4028234e38, -0.0, 16777217.0, 1e-60, 123456789],
)
def test_numbers_survive_to_the_bit(value, tmp_path):
    document = dense()
    document["weights"][0][1][1] = value
    info = Info.from_dict(document)
    expected = np.float32(value)
    info.save(tmp_path / "m.json")
    for twin in (info, Info.from_json(info.to_json()), Info.load(tmp_path / "m.json")):
        assert bits(twin.weights[0][1, 1]) == bits(expected)


def test_names_survive_whatever_they_are(tmp_path):
    names = ["ü", "名前", "a b", '"', "\\", "\u2028", "\x00", "🎉", "constant"]
    document = {**identity(len(names)), "features": names}
    del document["feature_size"]
    info = Info.from_dict(document)
    info.save(tmp_path / "m.json")
    for twin in (Info.from_json(info.to_json()), Info.load(tmp_path / "m.json")):
        assert twin.features == names
    assert build(document).features == names


def test_half_a_surrogate_is_refused_or_survives(tmp_path):
    # JSON can spell it, UTF-8 cannot; a save that fails must say so in the family of errors.
    document = {**identity(1), "features": ["\ud800"]}
    del document["feature_size"]
    try:
        info = Info.from_json(json.dumps(document))
        info.save(tmp_path / "m.json")
    except im.InstModelError:
        assert not (tmp_path / "m.json").exists()
    else:
        assert Info.load(tmp_path / "m.json").features == ["\ud800"]


@pytest.mark.parametrize(
    "metadata", [{"a": [1, 2.5, None, True, "x", {"b": {}}]}, [], {}, "text", 0, False, 1.5]
)
def test_metadata_is_carried_along(metadata):
    info = Info.from_dict({**dense(), "metadata": metadata})
    assert info.metadata == metadata
    assert Info.from_json(info.to_json()).metadata == metadata
    assert im.InstructionModel(info).info.metadata == metadata


@pytest.mark.parametrize("metadata", [{1, 2}, object(), math.nan, {"x": [math.inf]}, {"a": b"x"}])
def test_metadata_that_json_cannot_hold(metadata):
    with pytest.raises(im.InstModelError) as caught:
        Info.from_dict({**dense(), "metadata": metadata})
    assert caught.value.code in ("invalid_type", "non_finite_value")


def test_metadata_that_contains_itself():
    metadata = []
    metadata.append(metadata)
    with pytest.raises(im.InstModelError) as caught:
        Info.from_dict({**dense(), "metadata": metadata})
    assert caught.value.code == "invalid_type"


@pytest.mark.parametrize("depth", [31, 32, 40])
def test_metadata_is_nested_as_deep_as_both_formats_can_read(depth):
    metadata = 1
    for _ in range(depth):
        metadata = [metadata]
    document = {**dense(), "metadata": metadata}
    if depth > 31:
        with pytest.raises(im.InstModelError) as caught:
            Info.from_dict(document)
        assert caught.value.code == "invalid_document"
    else:
        info = Info.from_dict(document)
        assert Info.from_json(info.to_json()).metadata == metadata
        assert Info.from_bytes(info.to_bytes()).metadata == metadata


@pytest.mark.parametrize(
    ("metadata", "code"), [({1: 2, "1": 3}, "duplicate_key"), (float("inf"), "non_finite_value")]
)
def test_metadata_that_would_not_be_read_back(metadata, code):
    with pytest.raises(im.InstModelError) as caught:
        Info.from_dict({**dense(), "metadata": metadata})
    assert caught.value.code == code


def test_a_number_beyond_float64_is_no_number():
    with pytest.raises(im.InstModelError) as caught:
        Info.from_json(
            Info.from_dict({**dense(), "metadata": 0.5}).to_json().replace("0.5}", "1e400}")
        )
    assert caught.value.code == "non_finite_value"


def test_a_document_shares_nothing_with_what_it_was_made_of():
    metadata, cases = {"a": [1]}, im.ValidationData([[1.0, 2.0]], [[3.0]])
    info = Info.from_dict({**dense(), "metadata": metadata, "validation_data": cases})
    metadata["a"].append(2)
    cases.inputs[0][0] = 9.0
    assert info.metadata == {"a": [1]}
    assert info.validation_data.inputs[0][0] == 1.0


def test_null_stands_for_an_optional_key_that_is_missing():
    document = {**dense(), "feature_size": None, "maps": None, "metadata": None}
    document["validation_data"] = None
    assert Info.from_dict(document).to_dict() == Info.from_dict(dense()).to_dict()


def test_validation_data_is_kept(tmp_path):
    y = build(dense()).predict([[1.0, 2.0], [0.5, 0.25]])
    data = im.ValidationData([[1.0, 2.0], [0.5, 0.25]], y)
    info = Info.from_dict(dense())
    info.validation_data = data
    info.save(tmp_path / "m.json")
    twin = im.load(tmp_path / "m.json").info
    np.testing.assert_array_equal(np.stack(twin.validation_data.inputs), [[1, 2], [0.5, 0.25]])
    np.testing.assert_array_equal(np.stack(twin.validation_data.expected_outputs), y)


def test_loading_text_and_bytes_and_files(tmp_path):
    text = json.dumps(everything(), indent=2)
    (tmp_path / "m.json").write_text(text, encoding="utf-8")
    x = [[1.0, 2.0, 3.0, 4.0, 1.0, 0.0]]
    expected = build(everything()).predict(x)
    path = tmp_path / "m.json"
    for info in (
        Info.from_json(text),
        Info.from_json(text.encode()),
        Info.from_json(bytearray(text.encode())),
        Info.load(path),
        Info.load(str(path)),
        Info.load(os.fsencode(path)),
    ):
        np.testing.assert_array_equal(im.InstructionModel(info).predict(x), expected)
    for model in (im.load(path), im.load(str(path))):
        np.testing.assert_array_equal(model.predict(x), expected)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        im.load(tmp_path / "none.json")
    with pytest.raises(OSError, match="directory"):
        im.load(tmp_path)


@pytest.mark.parametrize("kind", [int, bool, float, lambda _: None, lambda path: [path]])
def test_what_is_no_path_is_not_opened(kind, tmp_path):
    info = Info.from_dict(dense())
    info.save(tmp_path / "m.json")
    with open(tmp_path / "m.json", "rb") as file:
        number = file.fileno()  # which `open` would take for a path
        given = kind(number)
        for call in (im.load, Info.load, info.save):
            with pytest.raises(im.InstModelError) as caught:
                call(given)
            assert (caught.value.code, caught.value.field) == ("invalid_type", "path")
        assert file.read() == (tmp_path / "m.json").read_bytes()
    info.save(os.fsencode(tmp_path / "bytes.json"))
    assert im.load(os.fsencode(tmp_path / "bytes.json")).feature_size == 2


def test_a_broken_file_is_an_error_of_ours(tmp_path):
    path = tmp_path / "m.json"
    for content, code in [
        (b"", "invalid_document"),
        (b"{", "invalid_document"),
        (b"\xff\xfe", "invalid_document"),
        (b"[]", "invalid_type"),
    ]:
        path.write_bytes(content)
        with pytest.raises(im.InstModelError) as caught:
            im.load(path)
        assert caught.value.code == code


def test_saving_replaces_a_file_whole(tmp_path):
    path = tmp_path / "m.json"
    path.write_text("old")
    info = Info.from_dict(dense())
    info.metadata = object()
    with pytest.raises(im.InstModelError):
        info.save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]
    info.metadata = None
    info.save(path)
    assert im.load(path).feature_size == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]


def test_unknown_keys_can_be_ignored_in_files(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**dense(), "color": "red"}))
    with pytest.raises(im.InstModelError) as caught:
        Info.load(path)
    assert caught.value.code == "unknown_field"
    assert Info.load(path, unknown="ignore").to_dict() == Info.from_dict(dense()).to_dict()


def test_a_document_is_not_changed_by_reading_it():
    document = everything()
    build(document)
    assert document == everything()


def test_any_mapping_is_a_document():
    from types import MappingProxyType

    document = dense()
    document["instructions"] = [MappingProxyType(item) for item in document["instructions"]]
    assert Info.from_dict(MappingProxyType(document)).to_dict() == rounded(dense())


def test_instructions_that_are_objects_already():
    document = dense()
    document["instructions"] = Info.from_dict(dense()).instructions
    assert Info.from_dict(document).to_dict() == rounded(dense())


def test_integers_are_numbers_and_large_ones_are_exact():
    document = dense()
    document["weights"][0][0] = [2, -(10**20)]
    assert Info.from_dict(document).weights[0][0].tolist() == [2.0, float(np.float32(-1e20))]


def test_a_weight_is_rounded_once_from_the_decimal_text_by_way_of_float64():
    document = dense()
    document["weights"][0][0] = [1 + 2**-24, 1 + 3 * 2**-24]
    assert Info.from_dict(document).weights[0][0].tolist() == [1.0, 1 + 2**-22]
