"""A network that no longer learns, with its normalisation made part of its convolutions."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_DIFFERENCE = 1e-3


@torch.inference_mode()
def folded(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy that gives the same outputs in less time and memory.

    A convolution whose output goes into a batch normalisation takes over its scale and shift; what follows
    them changes its input in place. Which belong together is seen in a pass, not in the network's structure.
    Convolutions of stride 2 that pad one side more than the other no longer copy their input to do so.

    Args:
        network: In evaluation mode; what its convolutions of stride 2 are given has even sides.
        example: An input.

    Returns:
        The copy; one that is not changed where a changed one would give other outputs, as where something
        else uses a convolution's output too.
    """
    copy = deepcopy(network)
    wanted = network(example)
    names = {module: name for name, module in copy.named_modules()}
    for convolution, norm in _followed(copy, example):
        fused = _evenly_padded(fuse_conv_bn_eval(convolution, norm))  # a timm norm has its activation in it
        copy.set_submodule(names[convolution], fused)
        copy.set_submodule(names[norm], _in_place(getattr(norm, "act", nn.Identity())))
    difference = (copy(example) - wanted).abs().max()
    return copy if difference <= _LARGEST_DIFFERENCE * wanted.abs().max() else deepcopy(network)


def _followed(network: nn.Module, example: Tensor) -> list[tuple[Any, Any]]:
    """Return each convolution with the normalisation that its output goes into."""
    made: list[tuple[Tensor, nn.Module]] = []
    found: list[tuple[Any, Any]] = []

    def keep(module: nn.Module, _inputs: object, output: Tensor) -> None:
        made.append((output, module))

    def match(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.extend((source, module) for output, source in made if output is inputs[0])

    hooks = [
        module.register_forward_hook(keep)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(match)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _in_place(activation: Any) -> nn.Module:
    if hasattr(activation, "inplace"):
        activation.inplace = True
    found: nn.Module = activation
    return found


def _evenly_padded(convolution: nn.Conv2d) -> nn.Conv2d:
    """Give a convolution like TensorFlow's a first row and column of zeros, so that both sides need as much.

    With stride 2, kernel k and even sides it pads k - 2 pixels, the smaller half of them first.
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
