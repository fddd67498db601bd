"""timm, imported without ``torch._dynamo``, which takes longer to import than torch itself.

torchvision and timm import it for functions that are only called in RoI pooling and in one of the networks.
All modules of this package import timm from here.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch._compile import _disable_dynamo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DYNAMO, _UTILS = "torch._dynamo", "torch._dynamo.utils"


class _Deferred(ModuleType):
    """Imports a module on its first attribute access."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect asks every module for its file
            raise AttributeError(name)
        _restore()
        return getattr(import_module(self.__name__), name)


def _restore() -> None:
    for name in (_DYNAMO, _UTILS):
        if isinstance(sys.modules.get(name), _Deferred):
            del sys.modules[name]


def _disable(*function_and_recursive: Any, **_: Any) -> Callable[..., Any]:
    """Disable compilation as ``torch._dynamo.disable`` does, from the first call on."""
    disabled: Callable[..., Any] = _disable_dynamo(*function_and_recursive)
    return disabled


def _is_compile_supported(device_type: str) -> bool:
    return bool(import_module(_UTILS).is_compile_supported(device_type))


@contextmanager
def _deferred_dynamo() -> Iterator[None]:
    if _DYNAMO in sys.modules:
        yield
        return
    dynamo, utils = _Deferred(_DYNAMO), _Deferred(_UTILS)
    vars(dynamo).update(disable=_disable, __path__=[])
    vars(utils).update(is_compile_supported=_is_compile_supported)
    sys.modules |= {_DYNAMO: dynamo, _UTILS: utils}
    try:
        yield
    finally:
        _restore()


with _deferred_dynamo():
    import timm
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.norm_act import convert_sync_batchnorm
    from timm.models import group_parameters
    from timm.models._efficientnet_blocks import InvertedResidual

__all__ = ["Conv2dSame", "InvertedResidual", "convert_sync_batchnorm", "group_parameters", "timm"]
