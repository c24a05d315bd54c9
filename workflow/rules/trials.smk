# The trials of a study that tunes values: the same rules, for the study in results/<study>/tuning.
include: "common.smk"
include: "train.smk"
include: "evaluate.smk"
