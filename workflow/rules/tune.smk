# Tuning, where a study declares {tune: [...]}: its trials are made by the same rules, `tune` chooses among them.

if STUDY.tuning:

    TRIALS = load_workflow({**config, "tuning": "yes"})

    module trials:
        snakefile:
            "trials.smk"
        config:
            {**config, "tuning": "yes"}

    use rule lock, train, lock_evaluation, generate, grade from trials as tuning_*

    rule tune:
        input:
            TRIALS.run_grades,
            TRIALS.steps,
            WORKFLOW.manifests(TRIALS.study.datasets),
            WORKFLOW.manifests(WORKFLOW.benchmark_datasets),
        output:
            FILES.trials.tuned,
            FILES.trials.sweep,
            report(FILES.trials.sweep_figure, caption="../report/figure.rst", category="Figures"),
        log:
            FILES.log("tune"),
        conda:
            "../envs/analysis.yaml"
        message:
            "choose the tuned values on the validation splits"
        threads: 1
        shell:
            f"entrobench tune {ARGUMENT} > {{log}} 2>&1"

    localrules: # as in the Snakefile
        tuning_lock,
        tuning_lock_evaluation,
