"""Door to the room `cli`: `python -m entrobench` is the command `entrobench`."""

from entrobench.cli.main import main

if __name__ == "__main__":
    main()
