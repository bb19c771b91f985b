"""Every model of the zoo is imported and equal to its source, or refused with all reasons."""

from importlib.util import find_spec

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
    hold(case)


@pytest.mark.parametrize("library", INSTALLED)
def test_names_are_different(library):
    names = [case.name for case in cases(library)]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(len(INSTALLED) < len(LIBRARIES), reason="needs all libraries")
def test_the_page_shows_the_zoo():
    assert PAGE.read_text("utf-8") == page(), "run `python -m support.zoo` in tests"
