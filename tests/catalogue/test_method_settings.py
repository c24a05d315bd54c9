"""Settings of a method that are fine one by one but not together."""

from __future__ import annotations

from typing import Any

import pytest

from entrobench.catalogue.registry import load_method
from entrobench.config import parse
from entrobench.errors import InputError


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("clip_cov", {"covariance_low": 5.0}, r"covariance_low \(5.0\) must be below covariance_high \(5.0\)"),
        ("entrocraft", {"low_start": 0.8}, r"low_start \(0.8\) is above high_start \(0.7\)"),
        ("entrocraft", {"high_end": 0.1}, r"low_end \(0.4\) is above high_end \(0.1\)"),
        (
            "magic",
            {"coefficient": 0.1, "coefficient_high": 0.005},
            r"coefficient \(0.1\) is outside its box \[0.0, 0.005\]",
        ),
        (
            "magic",
            {"coefficient_low": 0.1, "coefficient_high": 0.005},
            r"coefficient_low \(0.1\) is above coefficient_high \(0.005\)",
        ),
        ("siren", {"quantile": 1.0}, "nucleus must be above 0 and quantile below 1"),
        ("siren", {"nucleus": 0.0}, "nucleus must be above 0 and quantile below 1"),
    ],
)
def test_contradictions_are_one_line(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^study.yaml: {message}"):
        parse(load_method(name).Config, values, "study.yaml")
