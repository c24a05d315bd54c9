# Evaluation: one job samples all benchmarks of a run, of one of its snapshots or of an untrained base model, another
# grades them.


rule lock_evaluation:
    output:
        f"{FOLDER}/{{evaluation}}.json",
    params:
        settings=lambda wildcards: WORKFLOW.evaluation_hash(wildcards.evaluation),
    log:
        f"{FOLDER}/logs/lock_{{evaluation}}.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "lock the evaluation settings"
    threads: 1
    shell:
        f"entrobench lock-evaluation {ARGUMENT} --only {{wildcards.evaluation}}.json > {{log}} 2>&1"


rule generate:
    input:
        lambda wildcards: WORKFLOW.weights(wildcards.subject),
        WORKFLOW.manifests(WORKFLOW.benchmark_datasets),
        evaluation=lambda wildcards: WORKFLOW.evaluation(wildcards.subject),
    output:
        expand(f"{FOLDER}/{{{{subject}}}}/generations/{{benchmark}}.jsonl.zst", benchmark=STUDY.benchmarks),
    params:
        model=lambda wildcards: WORKFLOW.model_folder(wildcards.subject),
        versions=WORKFLOW.benchmark_versions,
        stream=lambda wildcards: WORKFLOW.stream(wildcards.subject),
    log:
        f"{FOLDER}/logs/generate/{{subject}}.log",
    benchmark:
        f"{FOLDER}/logs/generate/{{subject}}.jsonl"
    conda:
        "../envs/train.yaml"
    message:
        "generate the answers of {wildcards.subject}"
    threads: 1
    resources:
        gpu=lambda wildcards: WORKFLOW.gpus(wildcards.subject),
        device=lambda wildcards: WORKFLOW.device(wildcards.subject),
    shell:
        f"entrobench generate {{params.model}} {{input.evaluation}} {FOLDER}/{{wildcards.subject}}"
        " --device {resources.device} --stream {params.stream} > {log} 2>&1"


rule grade:
    input:
        expand(f"{FOLDER}/{{{{subject}}}}/generations/{{benchmark}}.jsonl.zst", benchmark=STUDY.benchmarks),
    output:
        expand(f"{FOLDER}/{{{{subject}}}}/grades/{{benchmark}}.parquet", benchmark=STUDY.benchmarks),
    params:
        version=WORKFLOW.grader_version,
        options=WORKFLOW.grade_options,
    log:
        f"{FOLDER}/logs/grade/{{subject}}.log",
    conda:
        "../envs/analysis.yaml"
    message:
        "grade the answers of {wildcards.subject}"
    threads: 1
    shell:
        f"entrobench grade {FOLDER}/{{wildcards.subject}}{{params.options}} > {{log}} 2>&1"
