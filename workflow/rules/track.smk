# MLflow, a projection of the result files. The sentinel stands for "the database exists": parallel first writers would
# race. The database itself is declared nowhere, else every write would re-run training.


rule mlflow_ready:
    output:
        touch(RESULTS.database_ready),
    log:
        RESULTS.log("mlflow_ready"),
    conda:
        "../envs/analysis.yaml"
    message:
        "create the MLflow database"
    threads: 1
    shell:
        "entrobench track --initialise > {log} 2>&1"


rule track:
    input:
        TRACKED,
        ancient(RESULTS.database_ready),
    output:
        FILES.tracking,
    log:
        FILES.log("track"),
    conda:
        "../envs/analysis.yaml"
    message:
        "show the study in MLflow"
    threads: 1
    shell:
        f"entrobench track {ARGUMENT} > {{log}} 2>&1"
