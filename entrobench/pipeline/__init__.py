"""How far a study is, what `make study` shows while it runs, and the warm process that its jobs are copies of."""
