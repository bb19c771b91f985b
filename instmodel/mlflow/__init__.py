"""The flavour ``instmodel`` of MLflow: models in its runs, its registry and its servers.

>>> from instmodel import mlflow as mlflow_flavour                        # doctest: +SKIP
>>> mlflow_flavour.log_model(model, name="risk", registered_model_name="risk")  # doctest: +SKIP
>>> im.load("models:/risk@champion")                                      # doctest: +SKIP

The extra ``mlflow``.
"""

from instmodel.mlflow import pyfunc
from instmodel.mlflow.flavour import (
    FLAVOR_NAME,
    get_default_conda_env,
    get_default_pip_requirements,
    load_model,
    log_model,
    save_model,
)
from instmodel.mlflow.signature import signature_of

__all__ = [
    "FLAVOR_NAME",
    "get_default_conda_env",
    "get_default_pip_requirements",
    "load_model",
    "log_model",
    "save_model",
    "signature_of",
]

_load_pyfunc = pyfunc.load  # where MLflow looks for it
