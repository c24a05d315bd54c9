"""Several processes that train one run: who does what, and how weights are cut."""
