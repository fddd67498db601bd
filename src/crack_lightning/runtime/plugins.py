"""Import of the user's own modules, named in ``plugins``, which may register what later settings name."""

from __future__ import annotations

import importlib
import traceback
from typing import TYPE_CHECKING

from crack_lightning.runtime.errors import ConfigError, CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Sequence


def import_plugins(names: Sequence[str]) -> None:
    """Import modules in their order.

    Args:
        names: Dotted names.

    Raises:
        ConfigError: If one is no such name, is not found, or does not run to its end.
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
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"({said}); mend the module."
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({said}, in {last.filename}, line {last.lineno}); mend the module."
