"""Finds the one constant that each file of a folder ends with: the only plug-in mechanism of the house."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def named(package: ModuleType, name: str, constant: str) -> Any:
    """The value of `constant` in the one module of a package that has this name; None if there is none."""
    if name not in {module_info.name for module_info in pkgutil.iter_modules(package.__path__)}:
        return None
    return getattr(importlib.import_module(f"{package.__name__}.{name}"), constant, None)


def collect(package: ModuleType, constant: str) -> dict[str, Any]:
    """The value of `constant` in each module of a package, by its `name`, in the modules' order.

    Raises:
        ImportError: a module lacks the constant, or two constants have the same name.
    """
    found: dict[str, Any] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        path = f"{package.__name__}.{module_info.name}"
        value = getattr(importlib.import_module(path), constant, None)
        if value is None:
            raise ImportError(f"{path} must end in a constant {constant}")
        if value.name in found:
            raise ImportError(f"{path}: a second {constant} is named {value.name!r}")
        found[value.name] = value
    return found
