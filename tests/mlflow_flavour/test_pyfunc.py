"""What `mlflow.pyfunc.load_model` gives."""

from __future__ import annotations

import numpy as np
import pytest
from support.table_models import identity, labelled, lookups, network

import instmodel as im
from instmodel import mlflow as flavour

mlflow = pytest.importorskip("mlflow")
pd = pytest.importorskip("pandas")
MlflowException = mlflow.exceptions.MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")


def loaded(model, **options):
    flavour.save_model(model, "folder", **options)
    return mlflow.pyfunc.load_model("folder")


def test_a_frame_gives_a_frame_with_its_index():
    model = network()
    rows = np.random.default_rng(0).normal(size=(7, 30))
    frame = pd.DataFrame(rows, columns=model.features, index=list("abcdefg")).iloc[:, ::-1]
    found = loaded(model).predict(frame.assign(note="x"))
    assert found.columns.tolist() == ["score"]
    assert found["score"].dtype == np.float32
    assert found.index.tolist() == list("abcdefg")
    assert np.array_equal(found, model.predict(rows))


def test_a_matrix_gives_a_matrix():
    model = identity(3)
    rows = np.arange(6.0).reshape(2, 3)
    found = loaded(model).predict(rows)
    assert (type(found), found.dtype, found.tolist()) == (np.ndarray, np.float32, rows.tolist())
    assert loaded_again().predict(rows, params={"threads": 2}).tolist() == rows.tolist()
    assert loaded_again().predict(pd.DataFrame(rows)).tolist() == rows.tolist()
    with pytest.raises(MlflowException, match="invalid_thread_count"):
        loaded_again().predict(rows, params={"threads": 0})


def loaded_again():
    return mlflow.pyfunc.load_model("folder")


def test_rows_of_dicts_text_lists_and_keys():
    found = loaded(labelled()).predict([{"age": 41.0, "colour": "green"}])
    assert found.to_numpy().tolist() == [[1, 41]]


def test_lists_and_keys():
    frame = pd.DataFrame({"amount": [1.0], "shop": [16777218], "history": [[0, 5, 0]]})
    assert loaded(lookups()).predict(frame).to_numpy().tolist() == [[2, 0]]
    frame["history"] = [np.array([0, 5, 0], np.float32)]
    assert loaded_again().predict(frame).to_numpy().tolist() == [[2, 0]]


def test_integers_go_where_an_example_has_them():
    model = identity(["a", "b"])
    frame = pd.DataFrame({"a": [40, 41], "b": [0.5, 1.5]})
    assert loaded(model, input_example=frame).predict(frame).to_numpy().tolist() == [
        [40, 0.5],
        [41, 1.5],
    ]
    assert loaded_again().input_example.equals(frame)


def test_params_say_what_becomes_of_nulls_else_the_configuration():
    model = loaded(identity(["a"]))
    frame = pd.DataFrame({"a": [1.0, None]})
    assert np.isnan(model.predict(frame, params={"nulls": "nan"})["score"][1])
    assert model.predict(frame, params={"nulls": "-1"})["score"].tolist() == [1, -1]
    with pytest.raises(MlflowException, match=r"column 'a', row 1: the value is null"):
        model.predict(frame)
    configured = mlflow.pyfunc.load_model("folder", model_config={"nulls": 0})
    assert configured.predict(frame)["score"].tolist() == [1, 0]
    assert configured.predict(frame, params={"nulls": "5"})["score"].tolist() == [1, 5]


def test_rows_that_cannot_be_scored_may_get_nan():
    model = loaded(labelled())
    frame = pd.DataFrame({"colour": ["red", "gren"], "age": [1.0, 2.0]}, index=["x", "y"])
    found = model.predict(frame, params={"on_bad_row": "null", "threads": 1})
    assert found.dtypes.tolist() == [np.float32, np.float32]
    assert found.loc["x"].tolist() == [0, 1]
    assert found.loc["y"].isna().all()
    with pytest.raises(MlflowException, match="'error' or 'null'"):
        model.predict(frame, params={"on_bad_row": "skip"})


def test_a_configuration_is_saved_with_the_model():
    frame = pd.DataFrame({"a": [1.0, None]})
    model = loaded(identity(["a"]), model_config={"nulls": 2})
    assert model.predict(frame)["score"].tolist() == [1, 2]
    with pytest.raises(im.InstModelError, match="did you mean 'nulls'"):
        flavour.save_model(identity(["a"]), "other", model_config={"null": 2})


def test_errors_are_those_that_a_server_answers_with_and_keep_their_code():
    model = loaded(labelled())
    frame = pd.DataFrame({"colour": ["red", "gren"], "age": [1.0, 2.0]})
    with pytest.raises(MlflowException, match="did you mean 'green'") as caught:
        model.predict(frame)
    assert caught.value.get_http_status_code() == 400
    assert isinstance(caught.value.__cause__, im.InstModelError)
    assert caught.value.__cause__.code == "unknown_category"
    with pytest.raises(MlflowException, match=r"missing inputs \['age'\]"):
        model.predict(frame.drop(columns="age"))


def test_the_model_itself_is_at_hand():
    model = loaded(network())
    assert model.get_raw_model().digest == network().digest
