"""Saved views of a study's experiment, and the links that open on them.

MLflow keeps a shared view as a tag of the experiment, `mlflow.sharedViewState.<key>`: JSON with the names of its web
page's state (3.17). An address that carries a filter of its own would not load the view, so the filter stands inside.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the page is one about prompts
CURVES, BETTER = "learning-curves", "which-is-better"
TITLES = {CURVES: "Learning curves", BETTER: "Which is better"}
MODES = {CURVES: "CHART", BETTER: "TABLE"}
CHARTS = {  # section -> metrics, the first section on top
    "Entropy and reward": ("train/entropy", "train/reward"),
    "Answers": ("train/length", "train/truncated", "train/mixed_groups", "train/outcome/correct"),
    "Method and updates": ("method/coefficient", "train/kl", "train/clip_high", "train/clip_low", "train/grad_norm"),
    "Evaluation": ("eval/score_mean",),
}
POOLED = ("score", "base_score", "difference", "difference_lower", "difference_upper", "p_holm", "runs")
COLUMNS = (
    *(f"metrics.`pooled/{name}`" for name in POOLED[:5]),
    "metrics.`pooled/p_holm`",
    "tags.`verdict`",
    "metrics.`pooled/runs`",
)


def experiment_tags() -> dict[str, str]:
    """The tags that make an experiment open as model training and hold its saved views."""
    views = {CURVES: _learning_curves(), BETTER: _which_is_better()}
    return EXPERIMENT_KIND | {f"mlflow.sharedViewState.{key}": json.dumps(view) for key, view in views.items()}


def links(address: str, experiment: str) -> list[tuple[str, str]]:
    """(title, address) of each saved view of an experiment."""
    page = f"{address.rstrip('/')}/#/experiments/{experiment}/runs?workflowType=machine_learning"
    return [(TITLES[key], f"{page}&compareRunsMode={MODES[key]}&viewStateShareKey={key}") for key in TITLES]


def _learning_curves() -> dict[str, Any]:
    """A line per method, mean over its runs; entropy and reward first."""
    sections = [_section(name) for name in CHARTS]
    charts = [_chart(name, metric) for name, metrics in CHARTS.items() for metric in metrics]
    grouped = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "method"}]}
    return {
        **_shown("tags.kind = 'run'"),
        "groupBy": grouped,
        "useGroupedValuesInCharts": True,
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "selectedColumns": ["tags.`method`", "metrics.`train/entropy`", "metrics.`train/reward`"],
    }


def _which_is_better() -> dict[str, Any]:
    """A row per method over the whole study, the largest difference first."""
    order = {"orderByKey": "metrics.`pooled/difference`", "orderByAsc": False}
    return {**_shown("tags.kind = 'summary'"), **order, "groupBy": None, "selectedColumns": list(COLUMNS)}


def _shown(search: str) -> dict[str, Any]:
    return {
        "searchFilter": search,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
    }


def _section(name: str) -> dict[str, Any]:
    kept = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": _identity(name), "name": name, **kept}


def _chart(section: str, metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "uuid": _identity(metric),
        "metricSectionId": _identity(section),
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric.rpartition("/")[2],
        "runsCountToCompare": 30,
        "deleted": False,
        "isGenerated": False,
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _identity(name: str) -> str:
    """The same id for the same name, so that a second import writes the same view."""
    return str(uuid5(NAMESPACE_URL, f"entrobench:{name}"))
