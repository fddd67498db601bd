"""Classes of a trained model, and relabelling of a tile table to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.data.table import TileTable


class ModelClasses(NamedTuple):
    """Class names of a trained model, and the one that means "crack"."""

    class_names: Sequence[str]
    positive_class: str | None


def with_classes(table: TileTable, model: ModelClasses) -> TileTable:
    """Return a table relabelled to a model's classes, in the model's order.

    Raises:
        DataError: If the table has a class that the model lacks.
    """
    import numpy as np

    names = list(model.class_names)
    if others := [name for name in table.class_names if name not in names]:
        raise DataError(
            f"data.class_names: the model's classes are {', '.join(names)}, and the set has "
            f"{', '.join(others)}; map its folders with data.class_names={{folder: class}}."
        )
    order = np.array([names.index(name) for name in table.class_names], dtype=np.int64)
    return replace(
        table, class_names=tuple(names), positive_class=model.positive_class, label=order[table.label]
    )
