from __future__ import annotations

import pytest
import torch

from crack_lightning.errors import ConfigError
from crack_lightning.hardware import available_cores, describe_machine, plan_hardware


def test_the_plan_takes_every_core_and_says_so() -> None:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=None, num_workers=None)
    assert (plan.accelerator, plan.precision, plan.threads) == ("cpu", "32", available_cores())
    assert f"{plan.threads} compute threads" in plan.reason
    assert plan.lightning_precision == "32-true"


def test_what_is_asked_for_is_kept() -> None:
    plan = plan_hardware(accelerator="cpu", precision="bf16", threads=1, num_workers=3)
    assert (plan.precision, plan.threads, plan.num_workers) == ("bf16", 1, 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.accelerator: expected a CUDA GPU"):
        plan_hardware(accelerator="gpu", precision="auto", threads=None, num_workers=None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_taken_in_bf16() -> None:
    plan = plan_hardware(accelerator="auto", precision="auto", threads=None, num_workers=None)
    assert (plan.accelerator, plan.precision) == ("gpu", "bf16")


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["cores"] == available_cores()
    assert machine["processor"]
