"""timm and torchvision without ``torch._dynamo``, which is there as soon as something needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import sys, torch
from crack_lightning.model import lean_timm
from crack_lightning.model.lean_timm import timm
assert "torch._dynamo" not in sys.modules
assert "torch._dynamo.utils" not in sys.modules
"""
USES = {
    "compilation": "assert torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)) == 2",
    "an attribute of torch": "assert callable(torch._dynamo.reset)",
    "RoI pooling": (
        "import torchvision; torch.use_deterministic_algorithms(True); "
        "torchvision.ops.roi_align(torch.rand(1, 3, 8, 8), torch.tensor([[0, 0, 0, 4, 4.0]]), 2)"
    ),
    "a network with functions that are not compiled": (
        "net = timm.create_model('naflexvit_base_patch16_gap', depth=1, embed_dim=64, num_heads=2).eval(); "
        "assert torch.compile(net, backend='eager')(torch.rand(1, 3, 32, 32)).shape == (1, 1000)"
    ),
    "what the stand-in lacks": (
        "lean_timm._DYNAMO in sys.modules or sys.modules.update("
        "{'torch._dynamo': lean_timm._Deferred('torch._dynamo')}); "
        "from torch._dynamo import config; assert config.cache_size_limit > 0"
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_needs_dynamo_gets_the_real_one(use: str) -> None:
    code = f"{BEGIN}\n{use}\nassert type(sys.modules.get('torch._dynamo', torch)) is type(torch)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
