"""Built-in methods: one file each; the registry name is the file's name."""

if not __name__.startswith("entrobench."):
    raise ImportError(
        "import entrobench.methods, not methods: the folder's own name would load every method a second time"
    )
