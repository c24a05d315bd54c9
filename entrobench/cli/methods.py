"""The commands about methods: list them, write a new one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="show the page of this method or named variant")] = None,
    drift: Annotated[bool, typer.Option("--drift", help="where authors and frameworks disagree, by how much")] = False,
) -> None:
    """List all methods and named variants, or show one whole: its settings, their ranges, sources and values.

    Examples: entrobench methods; entrobench methods aent; entrobench methods --drift
    """
    if drift:
        from entrobench.catalogue.drift import ledger

        print(ledger())
        return
    from entrobench.catalogue.pages import catalogue, page

    print(page(name) if name else catalogue())


def new_method(name: str) -> None:
    """Write methods/NAME.py, a working example of 20 lines to change: its defaults are what a study runs.

    Example: entrobench new-method my_bonus
    """
    from entrobench.catalogue.template import new_method

    path = new_method(name)
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    print(f"next: edit it, then `entrobench check-method {name}`")


def check_method(name: Annotated[str, typer.Argument(help="a method, or a named variant in config/methods")]) -> None:
    """Run the conformance suite on a registered method or a named variant; status 0 if no point fails.

    Example: entrobench check-method aent
    """
    from entrobench.catalogue.variants import resolve

    resolve([name], "entrobench check-method")  # a wrong name is refused before torch is imported
    from entrobench.conformance.points import check_method, print_points

    if not print_points(check_method(name, run_golden_tests=True)):
        raise typer.Exit(1)
