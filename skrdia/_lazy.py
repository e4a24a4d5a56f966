"""Names of a package that are loaded when they are first asked for, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["on_demand"]


def on_demand(
    package: str, homes: Mapping[str, Iterable[str]], submodules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions `__getattr__` and `__dir__` of a package.

    Type checkers see the names by imports under ``TYPE_CHECKING``; `on_demand` belongs in the other branch, as a module
    with `__getattr__` has every name for them.

    Parameters
    ----------
    package : str
        The package, its ``__name__``.
    homes : mapping
        For each module of the package the names that it has.
    submodules : iterable of str, default=()
        Modules that are attributes too.

    Returns
    -------
    get_attribute, list_names : callable
        The functions.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    modules = frozenset(submodules)

    def get_attribute(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of, *modules})

    return get_attribute, list_names
