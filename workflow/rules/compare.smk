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
        scores=FILES.scores,
        problems=FILES.problems,
        curves=FILES.curves,
        statistics=FILES.statistics,
        table=report(FILES.table("md"), caption="../report/table.rst", category="Tables"),
        formats=[FILES.table("csv"), FILES.table("tex")],
        evaluations=FILES.evaluations if WORKFLOW.evaluates_along else [],
        published=FILES.paper_comparison if WORKFLOW.published else [],
        figures=report(
            directory(FILES.figures), patterns=["{name}.svg"], caption="../report/figure.rst", category="Figures"
        ),
    params:
        declared=str(STUDY.headline),
    log:
        FILES.log("compare"),
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
        FILES.reference_lines,
    log:
        FILES.log("check"),
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
        FILES.report,
    log:
        FILES.log("report"),
    conda:
        "../envs/analysis.yaml"
    message:
        "write the report"
    threads: 1
    shell:
        f"entrobench report {ARGUMENT} > {{log}} 2>&1"


TRACKED = [rules.compare.output, WORKFLOW.steps, WORKFLOW.provenance, rules.report.output]
