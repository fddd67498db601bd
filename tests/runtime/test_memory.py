"""Memory that runs out is one sentence, which names what to lower."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch

from crack_lightning.cli.main import run_guarded
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.memory import OutOfMemoryError, explain_out_of_memory, out_of_memory_cause

CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which "
    "1.1 GiB is free. Including non-PyTorch memory, this process has 14.6 GiB memory in use."
)
TOLD = {
    CUDA: "the GPU has not enough (CUDA out of memory. Tried to allocate 2.00 GiB)",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronous": "the GPU has not enough",
    "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": "the GPU has not enough (CUBLAS_STATUS",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED": "the GPU has not enough (cuDNN error",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED": "the GPU has not enough (cuDNN error",
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)": "this machine has not enough",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.": "this machine has not enough",
    "Caught RuntimeError in pin memory thread for device 0.\nOriginal Traceback (most recent call last):\n"
    "RuntimeError: CUDA error: out of memory": "the GPU has not enough (RuntimeError: CUDA error: out of",
    "std::bad_alloc": "this machine has not enough (std::bad_alloc)",
}


@pytest.mark.parametrize(("text", "told"), TOLD.items())
def test_memory_that_runs_out_names_what_to_lower(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        with explain_out_of_memory(batch_size=64, image_size=224):
            raise RuntimeError(text)

    assert run_guarded(fail) == 2
    written = capsys.readouterr().err
    assert written.startswith(f"error: memory: {told}")
    assert written.endswith("; lower data.batch_size=64 to 32, or lower model.image_size=224.\n")
    assert written.count("\n") == 1


def allocated_by_torch() -> None:
    torch.empty(10**15)


def allocated_by_numpy() -> None:
    np.empty(10**15)


def raised_by_a_gpu() -> None:
    raise torch.OutOfMemoryError(CUDA)


def raised_by_the_system() -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def raised_below_another() -> None:
    try:
        raised_by_a_gpu()
    except RuntimeError as error:
        raise ValueError("a callback failed") from error


@pytest.mark.parametrize(
    "fail",
    [allocated_by_torch, allocated_by_numpy, raised_by_a_gpu, raised_by_the_system, raised_below_another],
)
def test_memory_is_known_to_have_run_out_whoever_raises(fail: object) -> None:
    assert callable(fail)
    with (
        pytest.raises(OutOfMemoryError, match=r"^memory: .*; lower batch_size=8 to 4\.$"),
        explain_out_of_memory(batch_size=8, image_size=None, key="batch_size"),
    ):
        fail()

    def bare() -> int:
        fail()
        return 0

    assert run_guarded(bare) == 2


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        ValueError("out of range"),
        ConfigError("memory: x"),
        KeyError("out of memory"),
    ],
)
def test_another_error_stays_what_it_is(error: Exception) -> None:
    assert out_of_memory_cause(error) is None
    with pytest.raises(type(error)), explain_out_of_memory(batch_size=1, image_size=32):
        raise error


def test_a_single_tile_is_not_halved() -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"\); use a smaller network\.$"),
        explain_out_of_memory(batch_size=1, image_size=None),
    ):
        raise MemoryError
