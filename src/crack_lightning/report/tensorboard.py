"""Final metrics, pictures, PR curves and the HPARAMS session in a run's TensorBoard log."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from torch.utils.tensorboard import SummaryWriter

from crack_lightning.runtime.errors import Pruned
from crack_lightning.runtime.files.run_folder import SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from crack_lightning.evaluation.predictions import Predictions

_PICTURES = ("example_tiles.png", "augmentations.png", "confusion_matrix.png")


@contextmanager
def hparams_session(log_dir: Path, settings: Mapping[str, Any], *, name: str) -> Iterator[None]:
    """Write start and end of a run for the HPARAMS tab, the end with its status.

    TensorBoard takes the columns of the tab from the experiment summary of one run; without a summary it
    collects them from the sessions of all runs, so no summary is written.

    Args:
        log_dir: The run's TensorBoard folder.
        settings: The resolved configuration, nested.
        name: The run's name in the tab.
    """
    _begin_session(log_dir, settings, name=name)
    try:
        yield
    except BaseException as error:
        end_session(log_dir, succeeded=isinstance(error, Pruned))
        raise
    end_session(log_dir, succeeded=True)


def _begin_session(log_dir: Path, settings: Mapping[str, Any], *, name: str) -> None:
    """Write the settings, and delete earlier sessions: the tab shows only the first session of a run."""
    for earlier in log_dir.glob(f"*{SESSION}"):
        earlier.unlink()
    start = plugin_data_pb2.SessionStartInfo(group_name=_utf8(name), start_time_secs=time.time())
    for key, value in flat(settings).items():
        if isinstance(value, bool):
            start.hparams[key].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[key].number_value = value
        else:
            start.hparams[key].string_value = _utf8(str(value))
    data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    _write_session(log_dir, metadata.SESSION_START_INFO_TAG, data)


def end_session(log_dir: Path, *, succeeded: bool) -> None:
    """Write the end of a run for the HPARAMS tab."""
    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    _write_session(
        log_dir, metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=end)
    )


def log_report(
    log_dir: Path, contents: Mapping[str, Any], *, predictions: Predictions, report: Path, step: int
) -> None:
    """Write the final metrics, the pictures and the PR curves.

    Args:
        log_dir: The run's TensorBoard folder.
        contents: The contents of the report.
        predictions: Predictions of the test tiles.
        report: Folder of the report with its pictures.
        step: The run's last global step.
    """
    with SummaryWriter(str(log_dir)) as writer:
        for name, value in contents["metrics"].items():
            if isinstance(value, int | float):
                writer.add_scalar(f"final/{name}", value, step)
        for name in _PICTURES:
            picture = np.asarray(Image.open(report / name).convert("RGB"))
            writer.add_image(name.removesuffix(".png"), picture, step, dataformats="HWC")
        for label, name in enumerate(contents["class_names"]):
            hit = (predictions.label == label).astype(np.int64)
            if 0 < hit.sum() < len(hit):  # otherwise the curve is undefined
                writer.add_pr_curve(f"pr/{_utf8(name)}", hit, predictions.probability[:, label], step)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to full keys; lists become text, ``None`` is left out."""
    flattened: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flattened |= flat(value, f"{prefix}{key}.")
        elif value is not None:
            flattened[f"{prefix}{key}"] = value
    return flattened


def _utf8(text: str) -> str:
    """Replace what is not valid UTF-8 by escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _write_session(log_dir: Path, tag: str, data: plugin_data_pb2.HParamsPluginData) -> None:
    summary = Summary()
    summary.value.add(tag=tag, metadata=metadata.create_summary_metadata(data))
    with SummaryWriter(str(log_dir), filename_suffix=SESSION) as writer:
        assert writer.file_writer is not None
        writer.file_writer.add_summary(summary)
