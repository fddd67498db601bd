from __future__ import annotations

import gc
import importlib
import warnings
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from pytorch_lightning import Trainer

from crack_lightning.runtime import hardware
from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.hardware import (
    available_cores,
    describe_machine,
    import_without_gc,
    plan_hardware,
    require_compiler,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_plan_takes_every_core_and_says_so() -> None:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=None, num_workers=None)
    assert (plan.accelerator, plan.precision, plan.threads) == ("cpu", "32", available_cores())
    assert f"{plan.threads} compute threads" in plan.reason
    assert plan.lightning_precision == "32-true"


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "32")])
def test_a_gpu_that_only_emulates_bf16_computes_in_32_bits(
    monkeypatch: pytest.MonkeyPatch, *, native: bool, precision: str
) -> None:
    def supported(**how: bool) -> bool:
        return native or how.get("including_emulation", True)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _number: "a GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    plan = plan_hardware(accelerator="auto", precision="auto", threads=1, num_workers=None)
    assert (plan.accelerator, plan.precision) == ("gpu", precision)


@pytest.mark.parametrize("before", [gc.enable, gc.disable])
def test_after_imports_garbage_is_collected_as_before(before: Callable[[], None]) -> None:
    def fail() -> None:
        with import_without_gc():
            assert not gc.isenabled()
            importlib.import_module("no_such_module")

    was = gc.isenabled()
    try:
        before()
        with pytest.raises(ImportError, match="no_such_module"):
            fail()
        assert gc.isenabled() == (before is gc.enable)
    finally:
        (gc.enable if was else gc.disable)()


def test_what_was_imported_is_looked_at_for_garbage_no_more() -> None:
    try:
        with import_without_gc():
            kept: list[object] = [[]]
        assert all(found is not kept for found in gc.get_objects())
    finally:
        gc.unfreeze()


def test_what_is_asked_for_is_kept() -> None:
    plan = plan_hardware(accelerator="cpu", precision="bf16", threads=1, num_workers=3)
    assert (plan.precision, plan.threads, plan.num_workers) == ("bf16", 1, 3)


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_no_precision_is_planned_that_would_quietly_become_another(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ask = partial(plan_hardware, accelerator=accelerator, threads=1, num_workers=0)
    with pytest.raises(
        ConfigError, match=r"trainer\.precision: 16 needs a GPU, and this run computes on the CPU"
    ):
        ask(precision="16")
    for precision in ("auto", "32", "bf16"):
        plan = ask(precision=precision)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trainer = Trainer(
                accelerator=plan.accelerator,
                precision=plan.lightning_precision,  # type: ignore[arg-type]
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
            )
        assert trainer.precision == plan.lightning_precision
        assert trainer.precision_plugin.precision == plan.lightning_precision
        assert f", {plan.precision} (" in plan.reason


@pytest.mark.parametrize(
    ("gpu", "flags", "precision", "worth"),
    [
        (False, "avx2 fma", "bf16", "many times slower than 32, as this processor has no bf16 of its own"),
        (False, "avx512_bf16", "bf16", "half the memory, and a CPU trains no faster in 16 bits"),
        (False, "avx512_bf16", "32", "a CPU trains no faster in 16 bits"),
        (True, "avx2", "bf16", "half the memory and twice the rate"),
        (True, "avx2", "16", "half the memory and twice the rate"),
    ],
)
def test_the_plan_promises_what_a_precision_is_worth_on_its_device(
    *,
    gpu: bool,
    flags: str,
    precision: str,
    worth: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("is_available", "is_bf16_supported"):
        monkeypatch.setattr(torch.cuda, name, lambda *_, **__: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H100")
    monkeypatch.setattr(hardware, "_cpuinfo", lambda key: flags if key == "flags" else "")
    plan = plan_hardware(accelerator="auto", precision=precision, threads=1, num_workers=0)
    assert worth in plan.reason
    assert ("twice the rate" in plan.reason) == gpu


def test_processes_on_the_cpu_have_a_thread_each() -> None:
    plan = plan_hardware(accelerator="cpu", precision="auto", threads=5, num_workers=None, devices=2)
    assert (plan.devices, plan.threads) == (2, 5)
    assert "2 processes that share the training" in plan.reason
    with pytest.raises(ConfigError, match=r"trainer\.devices: expected at most 5 processes, one a .*, got 6"):
        plan_hardware(accelerator="cpu", precision="auto", threads=5, num_workers=None, devices=6)


def test_every_gpu_is_taken_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, found in {
        "is_available": True,
        "is_bf16_supported": True,
        "device_count": 4,
        "get_device_name": "H100",
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, found=found, **__: found)
    monkeypatch.setattr(hardware, "available_cores", lambda: 16)
    ask = partial(plan_hardware, accelerator="gpu", precision="auto", threads=None, num_workers=None)
    plan = ask(devices=None)
    assert (plan.devices, plan.num_workers) == (4, 3)
    assert "H100, 4 of them that share the training" in plan.reason
    with pytest.raises(ConfigError, match=r"trainer\.devices: expected at most 4 GPUs, .*, got 8"):
        ask(devices=8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.accelerator: expected a CUDA GPU"):
        plan_hardware(accelerator="gpu", precision="auto", threads=None, num_workers=None)


def test_what_compiles_needs_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"trainer\.compile: expected a C\+\+ compiler"):
        require_compiler()
    own = tmp_path / "my-compiler"
    own.touch(mode=0o755)
    monkeypatch.setenv("CXX", "my-compiler")
    require_compiler()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_is_taken_in_bf16() -> None:
    plan = plan_hardware(accelerator="auto", precision="auto", threads=None, num_workers=None)
    assert (plan.accelerator, plan.precision) == ("gpu", "bf16")


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["cores"] == available_cores()
    assert machine["processor"]
