# Data and base models: shared by all studies, remade when their recipe changes.


rule prepare_data:
    output:
        RESULTS.data("{dataset}").manifest,
    params:
        recipe=lambda wildcards: STUDY.datasets[wildcards.dataset].recipe_hash,
    log:
        RESULTS.log("prepare_data/{dataset}"),
    conda:
        "../envs/train.yaml"
    message:
        "prepare the data {wildcards.dataset}"
    threads: 1
    shell:
        "entrobench prepare-data {wildcards.dataset} > {log} 2>&1"


rule decontaminate:
    input:
        lambda wildcards: WORKFLOW.compared_inputs(wildcards.dataset, wildcards.key),
    output:
        RESULTS.data("{dataset}").without("{key}").manifest,
    params:
        compared=lambda wildcards: WORKFLOW.compared_options(wildcards.dataset, wildcards.key),
    log:
        RESULTS.log("decontaminate/{dataset}-{key}"),
    conda:
        "../envs/train.yaml"
    message:
        "find the rows of {wildcards.dataset} that the benchmarks also ask"
    threads: 1
    shell:
        "entrobench prepare-data {wildcards.dataset} {params.compared} > {log} 2>&1"


rule base_model:
    input:
        lambda wildcards: WORKFLOW.manifests(STUDY.base_models[wildcards.model].datasets),
    output:
        RESULTS.model("{model}").about,
    params:
        recipe=lambda wildcards: STUDY.base_models[wildcards.model].recipe_hash,
    log:
        RESULTS.log("base_model/{model}"),
    conda:
        "../envs/train.yaml"
    message:
        "make the base model {wildcards.model}"
    threads: 1
    shell:
        "entrobench base-model {wildcards.model} > {log} 2>&1"
