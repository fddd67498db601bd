"""Layer groups of a network, from the stem to the classifier: freezing and learning rates."""

from __future__ import annotations

from typing import Any

from torch import nn

from crack_lightning.model.backbones import head_keys, split_parameters
from crack_lightning.model.lean_timm import group_parameters


def layer_groups(model: nn.Module) -> list[list[str]]:
    """Return the names of the parameters of each stage, the lowest first and the classifier's last.

    The stages are those of timm's ``group_matcher``; a network without one has two, backbone and classifier.
    """
    matcher: Any = getattr(model, "group_matcher", None)
    if matcher is not None:
        of_stage = group_parameters(model, matcher(coarse=True), reverse=True)
    else:
        of_head = head_keys(model)
        of_stage = {name: int(name in of_head) for name, _ in model.named_parameters()}
    stages: dict[int, list[str]] = {}
    for name, number in of_stage.items():
        stages.setdefault(number, []).append(name)
    return [stages[number] for number in sorted(stages)]


def parameter_groups(
    model: nn.Module, *, recipe: str, lr: float, backbone_scale: float, stage_scale: float
) -> list[dict[str, Any]]:
    """Return parameter groups for :func:`crack_lightning.model.optimizers.build_optimizer`.

    Args:
        model: A network.
        recipe: ``scratch``; ``finetune``, with another rate for the backbone; ``frozen``, without the
            backbone; or ``probe_then_finetune``, with a group per stage.
        lr: Learning rate of the head.
        backbone_scale: Ratio of the backbone's rate to the head's, with ``finetune``.
        stage_scale: Ratio of each stage's rate to the next one's, with ``probe_then_finetune`` (Howard and
            Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.2).
    """
    if recipe == "probe_then_finetune":
        parameters, stages = dict(model.named_parameters()), layer_groups(model)
        return [
            {
                "name": f"stage{number}",
                "params": [parameters[name] for name in names],
                "lr": lr * stage_scale ** (len(stages) - 1 - number),
            }
            for number, names in enumerate(stages)
        ]
    backbone, head = split_parameters(model)
    of_head = {"name": "head", "params": head, "lr": lr}
    if recipe == "frozen":
        return [of_head]
    scale = backbone_scale if recipe == "finetune" else 1.0
    return [{"name": "backbone", "params": backbone, "lr": lr * scale}, of_head]


def unfreeze_last(model: nn.Module, number: int) -> None:
    """Unfreeze the last ``number`` stages and freeze the others; call :func:`freeze_modules` afterwards."""
    parameters = dict(model.named_parameters())
    for place, names in enumerate(reversed(layer_groups(model))):
        for name in names:
            parameters[name].requires_grad_(place < number)


def freeze_modules(model: nn.Module) -> None:
    """Put frozen modules into evaluation mode (BatchNorm); to be called after each ``model.train()``."""
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def freeze_batchnorm(model: nn.Module) -> None:
    """Freeze the statistics of every BatchNorm, not its scale and shift."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the only common base class
            module.eval()


def num_unfrozen(number: int, *, progress: float, all_by: float) -> int:
    """Return how many of the last stages are unfrozen: 1 at first, one more at equal intervals.

    Args:
        number: Number of all stages.
        progress: Share of the training steps done, in ``[0, 1]``.
        all_by: Progress at which all stages are unfrozen.
    """
    return number if progress >= all_by else 1 + int((number - 1) * progress / all_by)
