"""The sections of a report in reading order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.sections.calibration import calibration_section
from crack_lightning.report.sections.data import data_section
from crack_lightning.report.sections.errors import (
    errors_section,
    false_alarms_section,
    missed_section,
    slices_section,
)
from crack_lightning.report.sections.explanation import explanation_section
from crack_lightning.report.sections.metrics import metrics_section, source_section
from crack_lightning.report.sections.ood import ood_section
from crack_lightning.report.sections.pod import pod_section
from crack_lightning.report.sections.provenance import probe_section, provenance_section, training_section
from crack_lightning.report.sections.threshold import threshold_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.report.render.document import Section

_SECTIONS = (
    metrics_section,
    source_section,
    threshold_section,
    calibration_section,
    ood_section,
    missed_section,
    false_alarms_section,
    errors_section,
    pod_section,
    slices_section,
    explanation_section,
    training_section,
    probe_section,
    data_section,
    provenance_section,
)


def report_sections(contents: Mapping[str, Any]) -> list[Section]:
    """Return the sections of a report that have contents."""
    sections = [build(contents) for build in _SECTIONS]
    return [section for section in sections if section.blocks]
