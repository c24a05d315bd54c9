"""Door to the room `cli`: the command `entrobench`, also as `python -m entrobench`."""

import sys

from entrobench.pipeline import warm


def main() -> None:
    """Run the command line; while a study runs, in a copy of a process that has the libraries."""
    if sys.argv[1:2] == [warm.SERVE]:
        from entrobench.pipeline.warm_server import serve

        if (arguments := serve(*sys.argv[2:])) is None:
            return
        sys.argv[1:] = arguments
    else:
        warm.hand_over(sys.argv[1:])
    from entrobench.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
