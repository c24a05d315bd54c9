"""Whatever a method calls its quantities, MLflow takes the name, and different names stay different."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from entrobench.tracking.names import metric_name, step_metric_name


def test_names_stand_in_sections() -> None:
    expected = {
        "entropy": "train/entropy",
        "outcome/wrong": "train/outcome/wrong",
        "stat/entropy": "method/stat/entropy",
        "method/coefficient": "method/coefficient",
        "seconds_update": "cost/seconds_update",
        "clamp/0.3/mass": "clamp/0.3/mass",
        "H>1 [%]": "train/H_gt_1 percent",
    }
    assert {name: step_metric_name(name) for name in expected} == expected
    assert metric_name("eval/chain2/avg@8") == "eval/chain2/avg_at_8"


@given(st.text(max_size=300))
def test_mlflow_takes_every_name(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    _validate_metric_name(step_metric_name(name))


@given(st.sampled_from("éßΔ|?*#&~"), st.sampled_from("éßΔ|?*#&~"))
def test_letters_that_mlflow_refuses_stay_different(one: str, other: str) -> None:
    assert (metric_name(one) == metric_name(other)) == (one == other)
