"""What a task says of sampling is followed or refused by name, never swallowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from entrobench.engines.rollout import Sampling
from entrobench.errors import InputError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Sampling(0.0, max_tokens=256)),
        ({"max_new_tokens": 7}, Sampling(0.0, max_tokens=7)),
        ({"max_tokens": 8}, Sampling(0.0, max_tokens=8)),
        ({"max_gen_toks": 9, "max_tokens": 8}, Sampling(0.0, max_tokens=9)),
        ({"do_sample": False, "temperature": 0.7}, Sampling(0.0, max_tokens=256)),
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.9}, Sampling(0.7, 0.9, max_tokens=256)),
        ({"temperature": 0.7, "top_k": -1, "repetition_penalty": 1.0, "min_p": 0.0}, Sampling(0.7, max_tokens=256)),
    ],
)
def test_settings_are_read_as_lm_evals_own_models_read_them(settings: dict[str, Any], expected: Sampling) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import read_settings

    assert read_settings(settings, "here") == (expected, ())


@pytest.mark.parametrize(
    ("key", "value"), [("repetition_penalty", 1.1), ("num_beams", 4), ("min_p", 0.1), ("temperatur", 0.7)]
)
def test_what_no_engine_of_ours_has_is_refused_by_name(key: str, value: float) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import read_settings

    with pytest.raises(InputError, match=f"task x: generation_kwargs: {key} {value} is not supported"):
        read_settings({key: value}, "task x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "pretrained=FOLDER is missing"),
        ({"pretrained": "x", "batch_size": "auto"}, "--batch_size must be a whole number of answers, got 'auto'"),
        ({"pretrained": "x", "dtype": "float16"}, "unknown argument 'dtype' .*allowed: batch_size, device"),
        ({"pretrained": "x", "devise": "cpu"}, "unknown argument 'devise' .*did you mean 'device'"),
    ],
)
def test_model_arguments_are_checked_before_anything_is_loaded(arguments: dict[str, Any], message: str) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import EngineLM

    with pytest.raises(InputError, match=message):
        EngineLM(**arguments)


def test_stop_strings_may_be_one_or_several(tmp_path: Path) -> None:
    from entrobench.evaluation.benchmarks.lm_eval import read_settings

    assert read_settings({"until": "\n"}, "here")[1] == ("\n",)
    assert read_settings({"until": ["\n", "", "Q:"]}, "here")[1] == ("\n", "Q:")
