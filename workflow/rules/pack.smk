# Runs that the user wants taken from the committed pack (`--config packed=use`): neither trained nor answered here.


rule unpack:
    input:
        WORKFLOW.pack,
    output:
        FILES.run("{run}").config,
        FILES.run("{run}").steps,
        FILES.run("{run}").problems,
        FILES.run("{run}").provenance,
    wildcard_constraints:
        run=WORKFLOW.packed_pattern,
    log:
        FILES.log("unpack/{run}"),
    conda:
        "../envs/analysis.yaml"
    message:
        "take {wildcards.run} from the committed pack"
    threads: 1
    shell:
        f"entrobench unpack {ARGUMENT} {{wildcards.run}} > {{log}} 2>&1"


ruleorder: unpack > lock
ruleorder: unpack > train
