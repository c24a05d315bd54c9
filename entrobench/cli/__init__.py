"""The `entrobench` command, one file per subject."""
