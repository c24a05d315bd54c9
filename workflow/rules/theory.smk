# A study of kind theory: one job computes it whole; it trains no model.


rule theory:
    input:
        WORKFLOW.published,
    output:
        WORKFLOW.files,
        report=f"{FOLDER}/report.html",
        table=report(f"{FOLDER}/table.md", caption="../report/table.rst", category="Tables"),
        figures=report(
            directory(f"{FOLDER}/figures"), patterns=["{name}.svg"], caption="../report/figure.rst", category="Figures"
        ),
    params:
        settings=STUDY.hash,
    log:
        f"{FOLDER}/logs/theory.log",
    benchmark:
        f"{FOLDER}/logs/theory.jsonl"
    conda:
        "../envs/analysis.yaml"
    message:
        "compute the synthetic processes"
    threads: 1
    shell:
        f"entrobench theory {ARGUMENT} > {{log}} 2>&1"


TRACKED = rules.theory.output
