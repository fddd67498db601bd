"""Fusion of batch normalisation into convolutions for inference."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from crack_lightning.model.lean_timm import Conv2dSame

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_DIFFERENCE = 1e-3


@torch.inference_mode()
def fuse_conv_bn(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy with the same outputs that takes less time and memory.

    Batch normalisations are fused into the convolutions before them, and activations work in place. The pairs
    are found in a forward pass, not in the network's structure. Convolutions of stride 2 with asymmetric
    padding get a larger kernel in place of a padded copy of their input.

    Args:
        network: In evaluation mode; the inputs of its convolutions of stride 2 have even sides.
        example: An input.

    Returns:
        The fused copy; an unfused one where fusion changes the outputs, as where another layer uses a
        convolution's output too.
    """
    copy = deepcopy(network)
    expected = network(example)
    names = {module: name for name, module in copy.named_modules()}
    for convolution, norm in _conv_bn_pairs(copy, example):
        fused = _evenly_padded(fuse_conv_bn_eval(convolution, norm))  # a timm norm has its activation in it
        copy.set_submodule(names[convolution], fused)
        copy.set_submodule(names[norm], _in_place(getattr(norm, "act", nn.Identity())))
    difference = (copy(example) - expected).abs().max()
    return copy if difference <= _LARGEST_DIFFERENCE * expected.abs().max() else deepcopy(network)


def _conv_bn_pairs(network: nn.Module, example: Tensor) -> list[tuple[Any, Any]]:
    """Return each convolution with the batch normalisation of its output, as a forward pass uses them."""
    outputs: list[tuple[Tensor, nn.Module]] = []
    pairs: list[tuple[Any, Any]] = []

    def append_output(module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append((output, module))

    def append_pairs(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        pairs.extend((source, module) for output, source in outputs if output is inputs[0])

    hooks = [
        module.register_forward_hook(append_output)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(append_pairs)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _in_place(activation: Any) -> nn.Module:
    if hasattr(activation, "inplace"):
        activation.inplace = True
    module: nn.Module = activation
    return module


def _evenly_padded(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with symmetric padding, whose kernel begins with a row and a column of zeros.

    With stride 2 and even sides timm pads k - 2 pixels for a kernel of k, one more at bottom and right.
    """
    size = convolution.kernel_size[0]
    even = size % 2 == 1 and convolution.kernel_size == (size, size) and convolution.dilation == (1, 1)
    if not (isinstance(convolution, Conv2dSame) and even and convolution.stride == (2, 2)):
        return convolution
    wider = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        size + 1,
        stride=2,
        padding=(size - 1) // 2,
        groups=convolution.groups,
    )
    weight = nn.functional.pad(convolution.weight, (1, 0, 1, 0))
    wider.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    wider.bias = convolution.bias
    return wider
