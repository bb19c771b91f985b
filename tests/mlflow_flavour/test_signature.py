"""The signature that MLflow shows of a model and holds its inputs to."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity, labelled, lookups, network

import instmodel as im
from instmodel.mlflow import signature_of

DataType = pytest.importorskip("mlflow.types").DataType
pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore")


def types(schema):
    return [(spec.name, spec.type) for spec in schema.inputs]


def test_a_column_for_each_feature_and_each_output():
    signature = signature_of(labelled())
    assert types(signature.inputs) == [("colour", DataType.string), ("age", DataType.double)]
    assert types(signature.outputs) == [
        ("output_0", DataType.float),
        ("output_1", DataType.float),
    ]
    assert types(signature_of(network()).outputs) == [("score", DataType.float)]


def test_keys_of_maps_are_integers_and_array_features_arrays():
    found = types(signature_of(lookups()).inputs)
    assert found[:2] == [("amount", DataType.double), ("shop", DataType.long)]
    name, kind = found[2]
    assert (name, str(kind)) == ("history", "Array(Any)")


def test_without_names_it_is_a_matrix():
    signature = signature_of(identity(3))
    (spec,) = signature.inputs.inputs
    assert (spec.shape, spec.type) == ((-1, 3), np.dtype("float64"))
    (spec,) = signature.outputs.inputs
    assert (spec.shape, spec.type) == ((-1, 3), np.dtype("float32"))
    example = np.zeros((1, 3), np.float32)
    assert signature_of(identity(3), example).inputs.inputs[0].type == np.dtype("float32")


def test_an_example_says_which_columns_are_integers():
    example = pd.DataFrame({"b": [1.5], "a": [1], "shop": [5]})
    found = types(signature_of(identity(["a", "b", "c"]), example).inputs)
    assert found == [("a", DataType.long), ("b", DataType.double), ("c", DataType.double)]
    floats = types(signature_of(lookups(), pd.DataFrame({"shop": [5.0]})).inputs)
    assert floats[1] == ("shop", DataType.double)


def test_the_signature_of_a_document_says_which_columns_are_integers():
    info = lookups().info
    never = im.FeatureSignature(kind="code", codes=[1, 2], nulls="never")
    maybe = im.FeatureSignature(kind="code", codes=[1, 2])
    info.signature = im.Signature({"amount": never, "shop": maybe})
    found = types(signature_of(im.InstructionModel(info)).inputs)
    assert found[:2] == [("amount", DataType.long), ("shop", DataType.double)]
