"""The rows of ``predictions.csv``, and their summary on the console."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from crack_lightning.runtime.console import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crack_lightning.inference.predictor import PicturePredictions

FORMER_COLUMNS = {"novelty": "ood_score", "foreign": "is_ood"}
"""Columns of older tables with their present names."""

_SHOWN, _NAMED = 20, 5


@dataclass(frozen=True, kw_only=True)
class PredictionColumns:
    """The columns of ``predictions.csv`` for a model.

    Attributes:
        class_names: Names by class index.
        positive_class: The class that means "crack", or ``None``.
    """

    class_names: tuple[str, ...]
    positive_class: str | None

    @classmethod
    def of_model(cls, hparams: Mapping[str, Any]) -> PredictionColumns:
        """Return the columns for a model's hyper-parameters."""
        return cls(class_names=tuple(hparams["class_names"]), positive_class=hparams["positive_class"])

    @property
    def shown_classes(self) -> list[str]:
        """The classes with a probability column: the positive one of two classes, else all."""
        two = self.positive_class is not None and len(self.class_names) == 2
        return [str(self.positive_class)] if two else list(self.class_names)

    @property
    def names(self) -> list[str]:
        """The header; ``threshold`` is the decision threshold."""
        of_classes = [f"probability_{name}" for name in self.shown_classes]
        return ["path", "predicted", *of_classes, "threshold", "ood_score", "is_ood", "problem"]

    def rows(self, predictions: PicturePredictions) -> Iterator[list[str]]:
        """Yield a row for each picture, with empty cells where a value is missing."""
        columns = [self.class_names.index(name) for name in self.shown_classes]
        threshold = "" if predictions.threshold is None else str(predictions.threshold)
        for name, label, row, ood_score, problem in zip(
            predictions.names,
            predictions.labels,
            predictions.probabilities,
            predictions.ood_score,
            predictions.problems,
            strict=True,
        ):
            values = [""] * len(columns) if problem else [str(row[column]) for column in columns]
            ood = ["", ""] if np.isnan(ood_score) else [str(ood_score), "yes" if ood_score > 1 else "no"]
            yield [name, label, *values, threshold, *ood, problem]


@dataclass(kw_only=True)
class PredictionCounts:
    """A summary of any number of rows, in bounded memory.

    Attributes:
        columns: The columns of the rows.
        by_class: Number of rows by predicted class.
        total: Number of rows.
        ood: Number of out-of-distribution pictures.
        unread: Number of pictures that cannot be read.
        named: The first unreadable pictures, with their reasons.
    """

    columns: PredictionColumns
    by_class: Counter[str] = field(default_factory=Counter)
    total: int = 0
    ood: int = 0
    unread: int = 0
    named: list[str] = field(default_factory=list)
    _likeliest: list[tuple[float, int, dict[str, str]]] = field(default_factory=list)

    def add(self, row: Mapping[str, str]) -> None:
        """Count a row."""
        self.total += 1
        self.by_class[row["predicted"]] += 1
        self.ood += row["is_ood"] == "yes"
        if row["problem"]:
            self.unread += 1
            if len(self.named) < _NAMED:
                self.named.append(f"{row['path']} ({row['problem']})")
        heapq.heappush(self._likeliest, (self._probability(row), -self.total, dict(row)))
        if len(self._likeliest) > _SHOWN:
            heapq.heappop(self._likeliest)

    @property
    def _shown_class(self) -> str:
        return self.columns.positive_class or self.columns.class_names[0]

    def _probability(self, row: Mapping[str, str]) -> float:
        return float(row[f"probability_{self._shown_class}"] or -1)

    @property
    def unread_named(self) -> str:
        """The first pictures that cannot be read, with their reasons."""
        more = self.unread - len(self.named)
        return "; ".join(self.named) + (f"; and {more:,} more" if more else "")

    @property
    def counts(self) -> str:
        """The number of pictures by class, of out-of-distribution and of unreadable ones."""
        of_classes = [f"{self.by_class[name]:,} {name}" for name in self.columns.class_names]
        others = {"out-of-distribution": self.ood, "not read": self.unread}
        return ", ".join([*of_classes, *(f"{number:,} {what}" for what, number in others.items() if number)])

    def table(self) -> Table:
        """Build a console table, the highest probabilities of the positive class first."""
        table = Table(title=self.counts, title_justify="left")
        for heading in ("picture", "predicted", f"probability of {self._shown_class}"):
            right = heading.startswith("prob")
            table.add_column(heading, overflow="fold", justify="right" if right else "left")
        table.add_column("out-of-distribution")
        for probability, _, row in sorted(self._likeliest, key=lambda entry: entry[:2], reverse=True):
            value = "" if row["problem"] else f"{probability:.4f}"
            label = row["predicted"] or ("not read" if row["problem"] else "no class")
            far = f"yes, {float(row['ood_score']):.3g} times the limit" if row["is_ood"] == "yes" else ""
            table.add_row(Text(printable(row["path"])), label, value, far)
        if self.total > _SHOWN:
            table.add_row(f"… and {self.total - _SHOWN:,} more in predictions.csv", "", "", "")
        return table
