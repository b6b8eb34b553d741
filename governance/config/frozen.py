"""Where the import machinery is found, so that a process starts in half the time.

The models of scim2_models have pydantic look for docstrings, in every frame of the stack (`use_attribute_docstrings`).
An import that goes deep has dozens of frames of the import machinery, whose file is no file; before Python 3.13
`inspect.getmodule` searches every loaded module for each of them, in vain: 3.7 of 6.3 seconds of processor time.
"""

from __future__ import annotations

import inspect
import os

_MODULES = ("importlib._bootstrap", "importlib._bootstrap_external", "runpy")


def say_where_frozen_modules_are() -> None:
    """Have `inspect.getmodule` know the frozen modules that imports run through, before it meets them."""
    for module in _MODULES:
        file = f"<frozen {module}>"
        # It looks under both names; the second is what it makes of the first.
        for name in (file, os.path.normcase(os.path.abspath(file))):  # noqa: PTH100
            inspect.modulesbyfile.setdefault(name, module)
