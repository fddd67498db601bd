"""Import of the user's modules listed in ``plugins``, which may define what later settings refer to."""

from __future__ import annotations

import importlib
import traceback
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError, CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Sequence


def import_plugins(names: Sequence[str]) -> None:
    """Import modules in order.

    Args:
        names: Dotted names.

    Raises:
        ConfigError: If a name is invalid, not found, or its module raises an error.
    """
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(
                f"plugins: expected names of modules, as in plugins=[my_module], got {name!r}; leave it out."
            )
        try:
            importlib.import_module(name)
        except CrackLightningError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(f"plugins: cannot import '{name}' {_why(name, error)}") from error


def _why(name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return f"({error}); is it on PYTHONPATH?"
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"({message}); fix the module."
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({message}, in {last.filename}, line {last.lineno}); fix the module."
