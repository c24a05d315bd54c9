"""How far a study is, and what `make study` shows while it runs."""
