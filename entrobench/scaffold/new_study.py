"""The file that `entrobench new-study` writes: a small study of the methods that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from entrobench.documents import CONFIG, named_files
from entrobench.errors import InputError
from entrobench.studies.study import NAME, load_study

STUDY = """description: {methods} on {dataset}, from {model}.
models: [{model}]
datasets: [{dataset}]
methods: [{methods}]  # the first is the baseline; `entrobench methods NAME` shows a method's values
seeds: [{seeds}]
benchmarks: [{benchmark}]
trainer: {{steps: 10, prompts: 8, group_size: 4, max_response_tokens: 16, warmup_updates: 0}}  # a trial: raise them
evaluation: {{samples: 4, max_tokens: 16, pass_k: [1, 2], problems: 32}}
"""


def new_study(name: str, methods: Sequence[str], model: str, dataset: str, benchmark: str, seeds: int) -> Path:
    """Write config/studies/<name>.yaml and load it; returns its path.

    Raises InputError, and leaves no file, for a name that is taken and for anything that the study's loading refuses.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"new-study: {name!r} is not a name: letters, digits, '_', '-' and '.' only")
    if name in named_files("studies"):
        raise InputError(f"new-study: {named_files('studies')[name]} exists already")
    path = CONFIG / "studies" / f"{name}.yaml"
    listed = ", ".join(methods)
    numbers = ", ".join(map(str, range(seeds)))
    path.write_text(STUDY.format(methods=listed, model=model, dataset=dataset, benchmark=benchmark, seeds=numbers))
    try:
        load_study(name)
    except InputError:
        path.unlink()
        raise
    return path
