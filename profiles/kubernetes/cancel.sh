#!/bin/sh
# Deletes the Jobs named by the arguments, when Snakemake is interrupted. Runs resume when it is started again.
exec kubectl delete job --ignore-not-found --wait=false "$@"
