# Training: its outputs appear when it ends; checkpoints/ beside them is no output, since Snakemake deletes outputs
# before a job. Hardware settings are resources, which never cause a re-run. Snapshots and the weights of trials go once
# they have answered: they are the most of what a study writes (`snakemake --notemp` keeps them).


rule lock:
    input:
        lambda wildcards: WORKFLOW.lock_inputs(wildcards.run),
    output:
        FILES.run("{run}").config,
    params:
        hash=lambda wildcards: WORKFLOW.runs[wildcards.run].config.hash,
        mathematics=WORKFLOW.mathematics,
    log:
        FILES.log("lock/{run}"),
    conda:
        "../envs/train.yaml"
    message:
        "lock the settings of {wildcards.run}"
    threads: 1
    shell:
        f"entrobench lock {ARGUMENT} {{wildcards.run}}{WORKFLOW.lock_options} > {{log}} 2>&1"


rule train:
    input:
        FILES.run("{run}").config,
        lambda wildcards: WORKFLOW.training_inputs(wildcards.run),
        ancient(RESULTS.database_ready),
    output:
        FILES.run("{run}").steps,
        FILES.run("{run}").provenance,
        temp(directory(FILES.run("{run}").final)) if WORKFLOW.trials else directory(FILES.run("{run}").final),
        temp(directory(FILES.run("{run}").snapshots)) if WORKFLOW.keeps_snapshots else [],
    log:
        FILES.log("train/{run}"),
    conda:
        "../envs/train.yaml"
    message:
        "train {wildcards.run}"
    threads: lambda wildcards: WORKFLOW.processes(wildcards.run)
    resources:
        gpu=lambda wildcards: WORKFLOW.gpus(f"runs/{wildcards.run}") * WORKFLOW.devices(wildcards.run),
        hardware=lambda wildcards: WORKFLOW.hardware_options(wildcards.run),
    shell:
        f"entrobench train {FILES.run('{wildcards.run}').folder} {{resources.hardware}} > {{log}} 2>&1"
