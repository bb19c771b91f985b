"""What MLflow asks of a flavour: to save, log and load models."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from instmodel.base import arguments, values
from instmodel.base.extras import require
from instmodel.document.schema import InstructionModelInfo
from instmodel.formats import BINARY_SUFFIX
from instmodel.formats.registered import FLAVOUR
from instmodel.mlflow.pyfunc import DEFAULTS
from instmodel.mlflow.signature import signature_of
from instmodel.model import InstructionModel
from instmodel.version import __version__

FLAVOR_NAME = FLAVOUR

_ENDINGS = {"binary": BINARY_SUFFIX, "json": ".json"}
# Where `mlflow.pyfunc.save_model` puts the file that it is given.
_DATA_FOLDER = "data"


def get_default_pip_requirements() -> list[str]:
    """Return what an environment needs to score with a model: this version, for the same bits."""
    return [f"instmodel-inference[mlflow]=={__version__}"]


def get_default_conda_env() -> dict[str, Any]:
    """Return the same as a Conda environment."""
    python = ".".join(map(str, sys.version_info[:3]))
    pip = {"pip": get_default_pip_requirements()}
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", pip],
    }


def save_model(
    model: InstructionModel | InstructionModelInfo,
    path: str | os.PathLike[str],
    *,
    serialization_format: Literal["binary", "json"] = "binary",
    signature: Any = None,
    input_example: Any = None,
    model_config: Mapping[str, Any] | None = None,
    mlflow_model: Any = None,
    conda_env: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    code_paths: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a model as a folder that MLflow can load and serve.

    Parameters
    ----------
    model : InstructionModel or InstructionModelInfo
        A document is checked, and its validation data runs.
    path : path-like
        The folder; it must not be there, or be empty.
    serialization_format : {"binary", "json"}
        Which of its two ordinary files the model is written as.
    signature : mlflow.models.ModelSignature or False, optional
        By default that of `signature_of`. With False there is none: then MLflow converts nothing,
        and every table that the model can score is taken.
    input_example : optional
        Inputs that MLflow keeps beside the model, and whose integers tell which columns are.
    model_config : mapping, optional
        What `predict` of the loaded model does unless its ``params`` say otherwise: ``nulls``,
        ``on_bad_row`` and ``threads``. It can be changed when the model is loaded.
    mlflow_model, conda_env, pip_requirements, extra_pip_requirements, code_paths, metadata
        As in MLflow's own flavours. By default, an environment is this version of this package.

    Raises
    ------
    InstModelError
        What is wrong with the document or an argument; ``missing_package``.
    mlflow.exceptions.MlflowException
        The folder is not empty; the example does not fit.
    """
    mlflow = require("mlflow", "mlflow")
    arguments.choice(serialization_format, "serialization_format", tuple(_ENDINGS))
    config = values.known_only(model_config or {}, DEFAULTS, "model_config", "error")
    engine = model if isinstance(model, InstructionModel) else InstructionModel(model)
    described = mlflow.models.Model() if mlflow_model is None else mlflow_model
    if signature is None:
        signature = signature_of(engine, input_example)
    if signature is not False:
        described.signature = signature
    name = f"model{_ENDINGS[serialization_format]}"
    described.add_flavor(
        FLAVOUR,
        data=f"{_DATA_FOLDER}/{name}",
        digest=engine.digest,
        instmodel_version=__version__,
    )
    with tempfile.TemporaryDirectory(prefix="instmodel-") as folder:
        file = Path(folder, name)
        if serialization_format == "binary":
            file.write_bytes(engine.to_bytes())
        else:
            engine.info.save(file)
        mlflow.pyfunc.save_model(
            path=os.fspath(path),
            loader_module="instmodel.mlflow",
            data_path=str(file),
            mlflow_model=described,
            # Without an example, it would be asked for one.
            signature=None if input_example is None else described.signature,
            input_example=input_example,
            model_config=DEFAULTS | config,
            conda_env=conda_env,
            # Else it would run the model in another process, to see what that imports.
            pip_requirements=(
                get_default_pip_requirements()
                if conda_env is None and pip_requirements is None
                else pip_requirements
            ),
            extra_pip_requirements=extra_pip_requirements,
            code_paths=code_paths,
            metadata=metadata,
        )


def log_model(
    model: InstructionModel | InstructionModelInfo,
    name: str | None = None,
    *,
    registered_model_name: str | None = None,
    **options: Any,
) -> Any:
    """Log a model to the active run, or to a new one; perhaps as the next version in the registry.

    Parameters
    ----------
    model : InstructionModel or InstructionModelInfo
    name : str, optional
        What the model is called in the run.
    registered_model_name : str, optional
        What it is called in the registry.
    **options
        Those of `save_model`, and what MLflow's flavours take besides: ``params``, ``tags``,
        ``model_type``, ``step``, ``model_id``, ``await_registration_for``.

    Returns
    -------
    mlflow.models.model.ModelInfo

    Raises
    ------
    InstModelError, mlflow.exceptions.MlflowException
        As `save_model`; what the tracking server refuses.
    """
    import instmodel.mlflow as flavour

    return require("mlflow", "mlflow").models.Model.log(
        artifact_path=None,
        flavor=flavour,
        name=name,
        registered_model_name=registered_model_name,
        model=model,
        **options,
    )


def load_model(model_uri: str | os.PathLike[str], **options: Any) -> InstructionModel:
    """Load a model from MLflow: `InstructionModel.load` by the name that MLflow's users expect.

    Parameters
    ----------
    model_uri : str or path-like
        ``models:/name@alias``, ``models:/name/3``, ``runs:/id/path``, ``mlflow-artifacts:/path``,
        or a folder.
    **options
        Those of `InstructionModel.load`.
    """
    return InstructionModel.load(model_uri, **options)
