"""What went wrong in a run, read from its rows: rules, evidence, advice."""
