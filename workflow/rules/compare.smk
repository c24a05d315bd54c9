# Comparison: scores, tables, statistics and figures of the whole study, the check against committed reference scores,
# and the report.


rule compare:
    input:
        WORKFLOW.grades,
        WORKFLOW.steps,
        WORKFLOW.reference_sweep,
        WORKFLOW.statistics_audit,
        WORKFLOW.published,
    output:
        scores=f"{FOLDER}/scores.parquet",
        problems=f"{FOLDER}/problems.parquet",
        curves=f"{FOLDER}/curves.parquet",
        statistics=f"{FOLDER}/statistics.json",
        table=report(f"{FOLDER}/table.md", caption="../report/table.rst", category="Tables"),
        formats=multiext(f"{FOLDER}/table", ".csv", ".tex"),
        evaluations=f"{FOLDER}/evaluations.parquet" if WORKFLOW.keeps_snapshots else [],
        published=f"{FOLDER}/paper_comparison.csv" if WORKFLOW.published else [],
        figures=report(
            directory(f"{FOLDER}/figures"), patterns=["{name}.svg"], caption="../report/figure.rst", category="Figures"
        ),
    params:
        declared=str(STUDY.headline),
    log:
        f"{FOLDER}/logs/compare.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "compare the methods of the study"
    threads: 1
    shell:
        f"entrobench compare {ARGUMENT} > {{log}} 2>&1"


rule check:
    input:
        rules.compare.output.scores,
        WORKFLOW.reference_scores,
    output:
        f"{FOLDER}/reference_check.txt",
    log:
        f"{FOLDER}/logs/check.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "check the scores against results/reference"
    threads: 1
    shell:
        f"entrobench check {ARGUMENT} > {{output}} 2> {{log}}"


rule report:
    input:
        rules.compare.output,
        WORKFLOW.provenance,
        WORKFLOW.overlaps,
        WORKFLOW.reference_scores,
    output:
        f"{FOLDER}/report.html",
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "write the report"
    threads: 1
    shell:
        f"entrobench report {ARGUMENT} > {{log}} 2>&1"


TRACKED = [rules.compare.output, WORKFLOW.steps, WORKFLOW.provenance, rules.report.output]
