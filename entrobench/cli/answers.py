"""The commands that sample answers to benchmarks, grade them, and compare graders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from entrobench.errors import InputError
from entrobench.results import RESULTS, AnswersFolder

from .arguments import Device, File, Folder


def generate(
    model_folder: Folder,
    evaluation: File,
    output: Annotated[Path, typer.Argument(help="folder that gets generations/<benchmark>.jsonl.zst")],
    device: Device = "auto",
    stream: Annotated[str, typer.Option(help="names the random numbers; the same draws the same")] = "",
    snapshots: Annotated[Path | None, typer.Option(help="folder of weights that the evaluation averages over")] = None,
) -> None:
    """Sample the answers of the model in MODEL_FOLDER to all benchmarks that EVALUATION (evaluation.json) names.

    Example: entrobench generate results/models/chain-qwen results/quickstart/evaluation.json
    results/quickstart/base/chain-qwen
    """
    import json

    from entrobench.evaluation.benchmarks.generate import generate
    from entrobench.provenance import cost_so_far

    generate(model_folder, json.loads(evaluation.read_text()), RESULTS.data_root, output, device, stream, snapshots)
    print(cost_so_far())


def grade(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="generations (.jsonl, .jsonl.zst), or a run's folder")
    ] = None,
    prediction: Annotated[str | None, typer.Option(help="a reply or bare answer: explain its verdict instead")] = None,
    gold: Annotated[str | None, typer.Option(help="the right answer to --prediction")] = None,
    also: Annotated[list[str] | None, typer.Option(metavar="GRADER", help="add the grades of: paper, chain")] = None,
    output: Annotated[Path | None, typer.Option(help="parquet (default: grades/ of the run, or beside FILE)")] = None,
) -> None:
    """Grade the answers of a generations FILE, or of all files of a run, on all cores; or explain one verdict.

    A FILE's rows hold gold and response. An answer that this grader version judged before costs nothing.
    Examples: entrobench grade results/quickstart/base/chain-qwen/generations/chain2.jsonl.zst;
    entrobench grade --prediction 'So \\boxed{1/2}.' --gold 0.5
    """
    if (prediction is None) != (gold is None) or (path is None) == (prediction is None):
        raise InputError("entrobench grade: name a FILE (or a run's folder), or give both --prediction and --gold")
    if prediction is not None and gold is not None:
        from entrobench.evaluation.grading.explanation import explain

        print(explain(prediction, gold))
        return
    assert path is not None
    from entrobench.evaluation.grading import grade_files

    if path.is_dir() and output is not None:
        raise InputError("entrobench grade: --output is for one FILE; a run's grades go to its grades/")
    files = AnswersFolder(path).all_generations() if path.is_dir() else [path]
    if not files:
        raise InputError(f"entrobench grade: no generations/*.jsonl.zst in {path}; run `entrobench generate` first")
    for file in files:
        grades = output or grade_files.output_of(file)
        grade_files.grade_file(file, grades, progress=sys.stderr.isatty())
        for grader in also or ():
            from entrobench.evaluation.grading.second_grader import add_verdicts

            add_verdicts(file, grades, grader, progress=sys.stderr.isatty())


def audit_grader(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="generations file, or the folder of a run or a study")],
) -> None:
    """Compare our verdicts with math-verify's on a generations FILE; print the disagreements as a table.

    A FILE of labelled pairs (.jsonl with prediction, gold, expected, kind) gives wrong yes and wrong no by kind.

    Example: entrobench audit-grader results/quickstart/base/chain-qwen/generations/chain2.jsonl.zst
    """
    from entrobench.evaluation.grading.grader_audit import audit
    from entrobench.evaluation.grading.pair_audit import audit_pairs, is_labelled

    if is_labelled(path):
        print(audit_pairs(path, progress=sys.stderr.isatty()))
        return
    print(audit(path, progress=sys.stderr.isatty()))
