# Evaluation: one job samples all benchmarks of a run, of one of its snapshots or of an untrained base model, another
# grades them.


rule lock_evaluation:
    output:
        FILES.settings("{evaluation}"),
    params:
        settings=lambda wildcards: WORKFLOW.evaluation_hash(wildcards.evaluation),
    log:
        FILES.log("lock_{evaluation}"),
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
        [FILES.answers("{subject}").generations(name) for name in STUDY.benchmarks],
    params:
        model=lambda wildcards: WORKFLOW.model_folder(wildcards.subject),
        versions=WORKFLOW.benchmark_versions,
        stream=lambda wildcards: WORKFLOW.stream(wildcards.subject),
        snapshots=lambda wildcards: WORKFLOW.snapshots(wildcards.subject),
        mathematics=WORKFLOW.mathematics,
    log:
        FILES.log("generate/{subject}"),
    conda:
        "../envs/train.yaml"
    message:
        "generate the answers of {wildcards.subject}"
    threads: 1
    resources:
        gpu=lambda wildcards: WORKFLOW.gpus(wildcards.subject),
        device=lambda wildcards: WORKFLOW.device(wildcards.subject),
    shell:
        f"entrobench generate {{params.model}} {{input.evaluation}} {FILES.answers('{wildcards.subject}').folder}"
        " --device {resources.device} --stream {params.stream}{params.snapshots} > {log} 2>&1"


rule grade:
    input:
        [FILES.answers("{subject}").generations(name) for name in STUDY.benchmarks],
    output:
        [FILES.answers("{subject}").grades(name) for name in STUDY.benchmarks],
    params:
        version=WORKFLOW.grader_version,
        options=WORKFLOW.grade_options,
    log:
        FILES.log("grade/{subject}"),
    conda:
        "../envs/analysis.yaml"
    message:
        "grade the answers of {wildcards.subject}"
    threads: 1
    shell:
        f"entrobench grade {FILES.answers('{wildcards.subject}').folder}{{params.options}} > {{log}} 2>&1"
