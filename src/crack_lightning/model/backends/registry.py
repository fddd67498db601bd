"""Registry of inference backends: each module of ``engines`` is one; names are read without an import."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

from crack_lightning.model.backends import engines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

BACKENDS = tuple(module.name for module in iter_modules(engines.__path__))
_SUFFIXES = {"32": "", "bf16": "_bf16"}
ENGINES = ("auto", *(f"{name}{suffix}" for name in BACKENDS for suffix in _SUFFIXES.values()))
"""Values of ``engine``: ``auto``, and each backend in 32 bits and in bf16."""


class UnfitError(Exception):
    """The reason why a backend cannot run a network."""


class Compute(Protocol):
    """A thread-safe function from images, uint8 ``(N, 3, H, W)``, to outputs, float32 ``(N, …)``."""

    def __call__(self, images: Tensor) -> Tensor:  # noqa: D102
        ...


@dataclass(frozen=True, kw_only=True)
class BuildInputs:
    """The inputs of :attr:`Backend.build`.

    Attributes:
        network: In evaluation mode, for images, uint8 ``(N, 3, H, W)``.
        folder: Where the backend's ``convert`` has written the network.
        precision: ``32`` or ``bf16``.
        image_size: Side of the tiles in pixels; ``None`` for single images whose sides are multiples of 16.
        threads: Compute threads.
    """

    network: nn.Module
    folder: Path
    precision: str
    image_size: int | None
    threads: int


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend; a module of ``engines`` holds it as ``BACKEND``.

    Attributes:
        title: Its name in reports.
        build: Builds the :class:`Compute` of a network, or raises :class:`UnfitError`.
        convert: Writes a network in the backend's format into a folder, for an image size as of
            :class:`BuildInputs`; ``None`` where the backend needs no file. Raises :class:`UnfitError`.
        package: Distribution that has to be installed, or ``None``.
        extra: Extra of this project with that distribution.
        piece_px: Largest side of a piece in tiled inference, pixels; such a piece takes 0.6 to 0.9 GB.
    """

    title: str
    build: Callable[[BuildInputs], Compute]
    convert: Callable[[nn.Module, Path, int | None], None] | None = None
    package: str | None = None
    extra: str = ""
    piece_px: int

    @property
    def is_installed(self) -> bool:
        """Whether its distribution is installed."""
        return self.package is None or installed_version(self.package) is not None


def backend_name(engine: str) -> str:
    """Return the name of the backend of an engine, a value of ``ENGINES`` other than ``auto``."""
    return engine.removesuffix(_SUFFIXES["bf16"])


def engine_precision(engine: str) -> str:
    """Return the precision of an engine, ``32`` or ``bf16``."""
    return "bf16" if engine.endswith(_SUFFIXES["bf16"]) else "32"


def load_backend(engine: str) -> Backend:
    """Import and return the backend of an engine."""
    backend: Backend = import_module(f"{engines.__name__}.{backend_name(engine)}").BACKEND
    return backend


def available_engines(*, bf16: bool) -> list[str]:
    """Return the engines whose distributions are installed.

    Args:
        bf16: Whether the processor computes in bf16.
    """
    names = [name for name in BACKENDS if load_backend(name).is_installed]
    return [*names, *(f"{name}{_SUFFIXES['bf16']}" for name in names if bf16)]


def installed_version(package: str) -> str | None:
    """Return the version of a distribution; ``None`` where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def backend_versions() -> dict[str, str | None]:
    """Return the versions of the backends' distributions by backend."""
    packages = {name: load_backend(name).package for name in BACKENDS}
    return {name: installed_version(package) for name, package in packages.items() if package}
