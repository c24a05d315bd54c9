#!/bin/sh
# What became of the Job named by the argument, in Snakemake's words: success, failed or running. A Job that somebody
# deleted has failed; while the cluster does not answer, it runs on.
state=$(kubectl get job "$1" --ignore-not-found --output 'jsonpath=succeeded:{.status.succeeded} failed:{.status.failed}') \
  || state='succeeded: failed:'
case $state in
  succeeded:1*) echo success ;;
  'succeeded: failed:') echo running ;;
  *) echo failed ;;
esac
