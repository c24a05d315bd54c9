# Training: its outputs appear when it ends; checkpoints/ beside them is no output, since Snakemake deletes outputs
# before a job. Hardware settings are resources, which never cause a re-run.


rule lock:
    input:
        lambda wildcards: WORKFLOW.lock_inputs(wildcards.run),
    output:
        f"{FOLDER}/runs/{{run}}/config.json",
    params:
        hash=lambda wildcards: WORKFLOW.runs[wildcards.run].config.hash,
    log:
        f"{FOLDER}/logs/lock/{{run}}.log",
    conda:
        "../envs/train.yaml"
    message:
        "lock the settings of {wildcards.run}"
    threads: 1
    shell:
        f"entrobench lock {ARGUMENT} {{wildcards.run}}{WORKFLOW.lock_options} > {{log}} 2>&1"


rule train:
    input:
        f"{FOLDER}/runs/{{run}}/config.json",
        lambda wildcards: WORKFLOW.training_inputs(wildcards.run),
        ancient("results/.mlflow-ready"),
    output:
        f"{FOLDER}/runs/{{run}}/steps.parquet",
        f"{FOLDER}/runs/{{run}}/provenance.json",
        directory(f"{FOLDER}/runs/{{run}}/final"),
        directory(f"{FOLDER}/runs/{{run}}/snapshots") if WORKFLOW.keeps_snapshots else [],
    log:
        f"{FOLDER}/logs/train/{{run}}.log",
    benchmark:
        f"{FOLDER}/logs/train/{{run}}.jsonl"
    conda:
        "../envs/train.yaml"
    message:
        "train {wildcards.run}"
    threads: lambda wildcards: WORKFLOW.processes(wildcards.run)
    resources:
        gpu=lambda wildcards: WORKFLOW.gpus(f"runs/{wildcards.run}") * WORKFLOW.devices(wildcards.run),
        hardware=lambda wildcards: WORKFLOW.hardware_options(wildcards.run),
    shell:
        f"entrobench train {FOLDER}/runs/{{wildcards.run}} {{resources.hardware}} > {{log}} 2>&1"
