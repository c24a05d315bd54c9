# A whole study: `snakemake` (the quickstart), or `snakemake --config study=NAME` with a name in config/studies or a path.
from entrobench.pipeline.warm import offer
from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"


rule all:
    input:
        FILES.report,
        FILES.tracking,
        WORKFLOW.goals,
    default_target: True
    message:
        "all files of the study are there"


if KIND == "theory":

    include: "workflow/rules/theory.smk"

else:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/pack.smk"
    include: "workflow/rules/evaluate.smk"
    include: "workflow/rules/tune.smk"
    include: "workflow/rules/compare.smk"

    localrules: # on a cluster: too short for a job of their own
        lock,
        lock_evaluation,
        check,


include: "workflow/rules/track.smk"


localrules:
    all,
    mlflow_ready,
    track,


onstart:
    # Snakemake 9's own limit, 100 jobs a second, starts a timer whenever it looks for jobs, and the timer makes it look
    # again: one more look a second for each job that has ended, half a core after 140. A limit that was asked for stays.
    limiter = workflow.scheduler.job_rate_limiter
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    if workflow.local_exec:
        offer()  # jobs on this machine share a process that has torch imported


onsuccess:
    print(f"study {STUDY.name} is done\n  report: {FILES.report}\n  tables: {FILES.table('md')}, .csv, .tex")
    print("  runs:   make ui   (MLflow: learning curves, and which is better)")


onerror:
    print(f"study {STUDY.name} stopped: the reason is above and in {log}; the same command goes on from here")
