"""Tables that the scikit-learn models of the zoo learn from."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from sklearn import datasets


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _float32(frame: pd.DataFrame) -> pd.DataFrame:
    """Return numbers that float32 holds: the model gets no others."""
    return frame.astype(np.float32).astype(float)


@cache
def credit(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Return applicants, some with gaps, and who failed: one in five."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "income": np.round(rng.lognormal(10.3, 0.6, rows)),
            "debt": np.round(rng.lognormal(8, 1.2, rows) * (rng.random(rows) < 0.8)),
            "utilization": np.clip(rng.beta(2, 5, rows), 0, 1),
            "late": rng.poisson(0.7, rows),
            "home": rng.integers(0, 4, rows),
            "region": rng.choice([1, 2, 3, 5, 8, 13], rows),
        }
    )
    risk = frame["utilization"] * 4 + frame["late"] - frame["age"] / 30 + (frame["home"] == 2)
    failed = (risk + rng.normal(size=rows) > np.quantile(risk, 0.8)).astype(int)
    frame = frame.astype(float)
    frame.loc[rng.random(rows) < 0.15, "income"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "utilization"] = np.nan
    return _float32(frame), failed.to_numpy()


@cache
def complete_credit() -> tuple[pd.DataFrame, np.ndarray]:
    """Return the applicants without gaps."""
    frame, failed = credit()
    return frame.fillna(frame.median()), failed


@cache
def applicants() -> tuple[pd.DataFrame, np.ndarray]:
    """Return the applicants without gaps in their numbers, and with text, some of it missing."""
    frame, failed = complete_credit()
    frame = frame.copy()  # others have the same one
    homes = pd.Series(["rent", "own", "parents", "mortgage"])
    regions = pd.Series(["Nord", "Süd", "Ost", "West", "", "Île de la Cité"], [1, 2, 3, 5, 8, 13])
    frame["home"] = frame["home"].map(homes).astype(object)
    frame["region"] = frame["region"].map(regions).astype(object)
    frame["job"] = _rng().choice(
        ["clerk", "cook", "nurse", "pilot"], len(frame), p=[0.5, 0.3, 0.19, 0.01]
    )
    frame["job"] = frame["job"].astype(object).where(_rng().random(len(frame)) > 0.1, np.nan)
    return frame, failed


@cache
def houses(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Return houses, and their prices."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "area": np.round(rng.lognormal(4.6, 0.4, rows), 1),
            "rooms": rng.integers(1, 9, rows),
            "year": rng.integers(1900, 2025, rows),
            "latitude": rng.uniform(47.2, 47.6, rows),
            "longitude": rng.uniform(8.3, 8.8, rows),
            "quality": rng.integers(1, 6, rows),
            "heating": rng.integers(0, 3, rows),
        }
    )
    price = frame["area"] * (3 + frame["quality"] / 2) + (frame["year"] - 1900) / 2
    return _float32(frame), (price * rng.lognormal(0, 0.1, rows)).to_numpy()


@cache
def bikes(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Return hours, and how many bikes were lent."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "hour": rng.integers(0, 24, rows),
            "weekday": rng.integers(0, 7, rows),
            "month": rng.integers(1, 13, rows),
            "temperature": rng.normal(15, 8, rows),
            "humidity": rng.uniform(20, 100, rows),
            "wind": rng.gamma(2, 5, rows),
        }
    )
    level = 3 + np.sin(frame["hour"] / 24 * 6.28) + frame["temperature"] / 20
    return _float32(frame), rng.poisson(np.exp(level)).astype(float)


@cache
def policies(rows: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """Return insured cars, and how often each had a claim."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "driver_age": rng.integers(18, 90, rows),
            "car_age": rng.integers(0, 20, rows),
            "power": rng.integers(4, 13, rows),
            "bonus": rng.integers(50, 150, rows),
            "density": np.round(rng.lognormal(6, 1.5, rows)),
            "area": rng.integers(0, 6, rows),
        }
    )
    rate = np.exp(-2 + frame["bonus"] / 60 - frame["driver_age"] / 100)
    return _float32(frame), rng.poisson(rate).astype(float) + 0.1


@cache
def flowers() -> tuple[pd.DataFrame, np.ndarray]:
    """Return Fisher's irises: three kinds."""
    found = datasets.load_iris()
    return _float32(pd.DataFrame(found.data, columns=list("abcd"))), found.target


@cache
def tumours() -> tuple[pd.DataFrame, np.ndarray]:
    """Return thirty figures of tumours of two kinds."""
    found = datasets.load_breast_cancer()
    frame = pd.DataFrame(found.data, columns=[f"f{i}" for i in range(30)])
    return _float32(frame[::2]), found.target[::2]


@cache
def wines() -> tuple[pd.DataFrame, np.ndarray]:
    """Return thirteen figures of wines of three kinds."""
    found = datasets.load_wine()
    frame = pd.DataFrame(found.data, columns=[f"w{i}" for i in range(13)])
    return _float32(frame), found.target


@cache
def diabetes() -> tuple[pd.DataFrame, np.ndarray]:
    """Return ten figures, and how an illness went on."""
    found = datasets.load_diabetes()
    frame = pd.DataFrame(found.data, columns=[f"d{i}" for i in range(10)])
    return _float32(frame), found.target


@cache
def digits() -> tuple[pd.DataFrame, np.ndarray]:
    """Return pictures of 64 whole numbers, and the digit that each shows."""
    found = datasets.load_digits()
    frame = pd.DataFrame(found.data, columns=[f"p{i}" for i in range(64)])
    return _float32(frame[:500]), found.target[:500]


@cache
def codes(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns of categories, and two classes."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "shop": rng.choice([10, 20, 30, 40], rows),
            "product": rng.integers(0, 12, rows),
            "channel": rng.integers(0, 3, rows),
        }
    )
    chosen = (frame["product"] % 3 == 0) | (frame["channel"] == 1)
    return _float32(frame), (chosen ^ (rng.random(rows) < 0.1)).astype(int).to_numpy()


def several(data) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table, and two numbers a row."""
    frame, y = data()
    filled = frame.fillna(frame.median()).to_numpy()
    return frame, np.column_stack([y, filled[:, 0] - filled[:, -1]])


def labels(data) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table, and three labels a row, which do not exclude each other."""
    frame, _ = data()
    filled = frame.fillna(frame.median())
    return frame, np.column_stack(
        [filled.iloc[:, i] > filled.iloc[:, i].median() for i in range(3)]
    )
