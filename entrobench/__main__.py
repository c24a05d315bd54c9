"""Door to the room `cli`: the command `entrobench`, also as `python -m entrobench`."""

import sys

from entrobench.cli.warm import hand_over


def main() -> None:
    """Run the command line, in a warm process where a study offers one."""
    hand_over(sys.argv[1:])
    from entrobench.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
