"""scikit-learn's classifiers and regressors that are made of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instmodel.importers import expressions as ex
from instmodel.importers import functions as fn
from instmodel.importers.expressions import Value
from instmodel.importers.sklearn_curves import isotonic
from instmodel.importers.sklearn_functions import decisions_of_pairs, shares, shares_of_sigmoids
from instmodel.importers.sklearn_transformers import inverse, pipeline_steps
from instmodel.importers.sklearn_walk import Walk, inside, library_version, require


def _pipeline(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    name, last = e.steps[-1]
    x = pipeline_steps(walk, e, x, place, last=False)
    size = getattr(last, "n_features_in_", x.size)
    return walk.predict(last, x if x.size == size else ex.source(size), method, inside(place, name))


def _search(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return walk.predict(e.best_estimator_, x, method, inside(place, "best_estimator_"))


def _wrapped(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    name = "estimator_" if hasattr(e, "estimator_") else "base_estimator_"  # until 1.6
    return walk.predict(getattr(e, name), x, method, inside(place, name))


def _voting(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method in ("predict", "predict_proba"), f"{method} of a vote")
    weights = np.ones(len(e.estimators_)) if e.weights is None else np.asarray(e._weights_not_none)
    total = ex.constant(0.0)
    for index, (member, weight) in enumerate(zip(e.estimators_, weights, strict=True)):
        part = walk.predict(member, x, method, inside(place, f"estimators_[{index}]"))
        total = ex.add(total, ex.multiply(part, ex.constant(float(weight))))
    return ex.multiply(total, ex.constant(1.0 / weights.sum()))


def _calibrated(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    members = e.calibrated_classifiers_
    total = ex.constant(0.0)
    for index, member in enumerate(members):
        require(member.method in ("sigmoid", "isotonic"), f"method={member.method!r}")
        require(len(member.estimator.classes_) == len(e.classes_), "members of fewer classes")
        decides = hasattr(member.estimator, "decision_function")
        stage = "decision_function" if decides else "predict_proba"
        where = inside(place, f"calibrated_classifiers_[{index}].estimator")
        scores = walk.predict(member.estimator, x, stage, where)
        total = ex.add(total, _calibrators(walk, member, scores))
    return ex.multiply(total, ex.constant(1.0 / len(members)))


def _calibrators(walk: Walk, member: Any, scores: Value) -> Value:
    """Return what the calibrators of a member, one for each class, make of its scores."""
    count = len(member.calibrators)
    if member.method == "isotonic":
        columns = [ex.rearrange(scores, np.array([index])) for index in range(count)]
        parts = [isotonic(walk, c, x) for c, x in zip(member.calibrators, columns, strict=True)]
        return parts[0] if count == 1 else shares(ex.concatenate(parts), 1.0 / count)
    slopes = [-calibrator.a_ for calibrator in member.calibrators]
    lines = ex.dense(scores, np.diag(slopes), [-calibrator.b_ for calibrator in member.calibrators])
    return ex.activation(lines, "SIGMOID") if count == 1 else shares_of_sigmoids(lines, 1.0 / count)


def _frozen(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return walk.predict(e.estimator, x, method, inside(place, "estimator"))


def _target(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return inverse(
        e.transformer_, walk.predict(e.regressor_, x, method, inside(place, "regressor_"))
    )


def _each(walk: Walk, e: Any, x: Value, method: str, place: str) -> list[Value]:
    """Return what each member makes of x."""
    members = enumerate(e.estimators_)
    return [walk.predict(m, x, method, inside(place, f"estimators_[{i}]")) for i, m in members]


def _many(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    return ex.concatenate(_each(walk, e, x, method, place))


def _chain(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    """Return the outputs of a chain, whose members also get what those before them said."""
    walk.refuse_nan(x)
    walk.refuse_infinite()
    stage = getattr(e, "chain_method_", "predict")
    said: list[Value] = []
    outputs: dict[int, Value] = {}
    for index, (member, target) in enumerate(zip(e.estimators_, e.order_, strict=True)):
        where = inside(place, f"estimators_[{index}]")
        given = ex.concatenate([x, *said])
        outputs[int(target)] = walk.predict(member, given, method, where)
        if stage == method:
            said.append(outputs[int(target)])
        elif stage == "predict":
            said.append(_label(walk, member, given, where))
        else:
            said.append(walk.predict(member, given, stage, where))
    return ex.concatenate([outputs[target] for target in range(len(outputs))])


def _label(walk: Walk, e: Any, x: Value, place: str) -> Value:
    """Return the label of a classifier of two numbers, which its decision decides."""
    known = hasattr(e, "decision_function") and len(e.classes_) == 2
    require(known, f"labels of {inside(place, type(e).__name__)} as input of the next")
    low, high = np.asarray(e.classes_, float)
    chosen = fn.positive(walk.predict(e, x, "decision_function", place))
    return ex.add(ex.multiply(chosen, ex.constant(high - low)), ex.constant(low))


def _bagging(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    members = list(zip(e.estimators_, e.estimators_features_, strict=True))
    total = ex.constant(0.0)
    for index, (member, columns) in enumerate(members):
        if method != "predict":
            require(hasattr(member, method), f"votes of {type(member).__name__}")
            require(len(member.classes_) == len(e.classes_), "members of fewer classes")
        part = ex.rearrange(x, np.asarray(columns))
        where = inside(place, f"estimators_[{index}]")
        total = ex.add(total, walk.predict(member, part, method, where))
    return ex.multiply(total, ex.constant(1.0 / len(members)))


def _one_against_rest(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    parts = _each(walk, e, x, method, place)
    if method != "predict_proba" or len(parts) == 1 or e.multilabel_:
        return ex.concatenate(parts)
    flat = [ex.bare(part) for part in parts]
    if all(part.kind == "activation" and part.data == "SIGMOID" for part in flat):
        nothing = 0.0 if library_version() >= (1, 7) else None
        return shares_of_sigmoids(ex.concatenate([part.inputs[0] for part in flat]), nothing)
    return shares(ex.concatenate(parts), None)


def _one_against_one(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    require(method == "decision_function", f"{method} of pairs of classes")
    require(e.pairwise_indices_ is None, "a kernel that is computed before")
    for member in e.estimators_:
        require(hasattr(member, "decision_function"), f"labels of {type(member).__name__}")
    scores = decisions_of_pairs(_many(walk, e, x, method, place), len(e.classes_))
    return ex.rearrange(scores, np.array([1])) if len(e.classes_) == 2 else scores


def _stacking(walk: Walk, e: Any, x: Value, method: str, place: str) -> Value:
    parts = [x] if e.passthrough else []
    level = []
    for index, (member, stage) in enumerate(zip(e.estimators_, e.stack_method_, strict=True)):
        level.append(walk.predict(member, x, stage, inside(place, f"estimators_[{index}]")))
    final = ex.concatenate([*level, *parts])
    return walk.predict(e.final_estimator_, final, method, inside(place, "final_estimator_"))


Handler = Callable[[Walk, Any, Value, str, str], Value]

COMPOSITES: dict[str, Handler] = {
    "Pipeline": _pipeline,
    "BaseSearchCV": _search,
    "RANSACRegressor": _wrapped,
    "FixedThresholdClassifier": _wrapped,
    "TunedThresholdClassifierCV": _wrapped,
    "SelfTrainingClassifier": _wrapped,
    "BaggingClassifier": _bagging,
    "BaggingRegressor": _bagging,
    "ClassifierChain": _chain,
    "RegressorChain": _chain,
    "VotingRegressor": _voting,
    "VotingClassifier": _voting,
    "MultiOutputRegressor": _many,
    "MultiOutputClassifier": _many,
    "OneVsRestClassifier": _one_against_rest,
    "OneVsOneClassifier": _one_against_one,
    "StackingRegressor": _stacking,
    "StackingClassifier": _stacking,
    "CalibratedClassifierCV": _calibrated,
    "FrozenEstimator": _frozen,
    "TransformedTargetRegressor": _target,
}
