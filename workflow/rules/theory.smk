# A study of kind theory: one job computes it whole; it trains no model.


rule theory:
    input:
        WORKFLOW.published,
    output:
        WORKFLOW.written,
        report=FILES.report,
        table=report(FILES.table("md"), caption="../report/table.rst", category="Tables"),
        figures=report(
            directory(FILES.figures), patterns=["{name}.svg"], caption="../report/figure.rst", category="Figures"
        ),
    params:
        settings=STUDY.hash,
    log:
        FILES.log("theory"),
    conda:
        "../envs/analysis.yaml"
    message:
        "compute the synthetic processes"
    threads: 1
    shell:
        f"entrobench theory {ARGUMENT} > {{log}} 2>&1"


TRACKED = rules.theory.output
