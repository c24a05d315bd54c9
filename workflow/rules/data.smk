# Data and base models: shared by all studies, remade when their recipe changes.


rule prepare_data:
    output:
        "results/data/{dataset}/manifest.json",
    params:
        recipe=lambda wildcards: STUDY.datasets[wildcards.dataset].recipe_hash,
    log:
        "results/logs/prepare_data/{dataset}.log",
    conda:
        "../envs/train.yaml"
    message:
        "prepare the data {wildcards.dataset}"
    threads: 1
    shell:
        "entrobench prepare-data {wildcards.dataset} > {log} 2>&1"


rule decontaminate:
    input:
        lambda wildcards: WORKFLOW.compared_inputs(f"results/data/{wildcards.dataset}/without-{wildcards.key}"),
    output:
        "results/data/{dataset}/without-{key}/manifest.json",
    params:
        compared=lambda wildcards: WORKFLOW.compared_options(f"results/data/{wildcards.dataset}/without-{wildcards.key}"),
    log:
        "results/logs/decontaminate/{dataset}-{key}.log",
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
        "results/models/{model}/model.json",
    params:
        recipe=lambda wildcards: STUDY.base_models[wildcards.model].recipe_hash,
    log:
        "results/logs/base_model/{model}.log",
    benchmark:
        "results/logs/base_model/{model}.jsonl"
    conda:
        "../envs/train.yaml"
    message:
        "make the base model {wildcards.model}"
    threads: 1
    shell:
        "entrobench base-model {wildcards.model} > {log} 2>&1"
