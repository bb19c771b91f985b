"""Every model of the zoo is imported and equal to its source, or refused with all reasons."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from support.zoo import LIBRARIES, PAGE, cases, hold, page

NEEDED = {"scikit-learn": "sklearn", "PyTorch": "torch", "Keras": "keras", "ONNX": "onnxruntime"}
INSTALLED = [library for library in LIBRARIES if find_spec(NEEDED[library])]

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{library}: {case.name}")
        for library in INSTALLED
        for case in cases(library)
    ],
)
def test_it_is_imported_as_what_it_is_or_refused(case):
    if "layout=1" in case.name and not _reference_knows_layouts():
        pytest.skip("this ONNX cannot run the batch as the first axis, and nobody else can")
    hold(case)


@cache
def _reference_knows_layouts():
    """Whether ONNX's own reference, the only one that runs them, takes two sequences so."""
    from onnx import TensorProto, helper, reference

    shapes = {"x": (2, 3, 1), "w": (1, 1, 1), "r": (1, 1, 1)}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 3, 1, 1))
    node = helper.make_node("RNN", list(shapes), ["y"], hidden_size=1, layout=1)
    model = helper.make_model(helper.make_graph([node], "g", inputs, [output]))
    feeds = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    try:
        (found,) = reference.ReferenceEvaluator(model).run(None, feeds)
    except Exception:
        return False
    return found.shape == (2, 3, 1, 1)


@pytest.mark.parametrize("library", INSTALLED)
def test_names_are_different(library):
    names = [case.name for case in cases(library)]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(len(INSTALLED) < len(LIBRARIES), reason="needs all libraries")
def test_the_page_shows_the_zoo():
    assert PAGE.read_text("utf-8") == page(), "run `python -m support.zoo` in tests"
