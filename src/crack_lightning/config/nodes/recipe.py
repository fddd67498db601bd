"""The node ``recipe``: which weights are trained, and how."""

from __future__ import annotations

from dataclasses import dataclass

from crack_lightning.model.backends.registry import ENGINES
from crack_lightning.runtime.settings import check_settings, node, setting, unused_keys

RECIPES = ("scratch", "finetune", "frozen", "probe", "probe_then_finetune")
_BY_STEPS = ("scratch", "finetune", "frozen", "probe_then_finetune")
_BY_FEATURES = ("probe", "probe_then_finetune")
_READ_BY = {
    "backbone_lr_scale": ("finetune",),
    "stage_lr_scale": ("probe_then_finetune",),
    "unfreeze_by": ("probe_then_finetune",),
    "sizes": _BY_STEPS,
    "ema_decay": _BY_STEPS,
    "gradient_clip": _BY_STEPS,
    "views": ("probe",),
    "l2": _BY_FEATURES,
    "engine": _BY_FEATURES,
}


@dataclass
class LossConfig:
    """The training loss."""

    name: str = setting("cross_entropy", "Loss of the tiles.", choices=("cross_entropy", "focal"))
    label_smoothing: float = setting(
        0.0, "Share of each target spread over all classes; cross entropy only.", low=0, high=0.5
    )
    focal_gamma: float = setting(2.0, "Focusing parameter of the focal loss.", low=0)
    class_weights: str = setting(
        "none",
        "`balanced` for weights inverse to the classes' frequencies.",
        choices=("none", "balanced"),
    )
    cells: float = setting(
        5.0,
        "Weight of the cells' cross entropy relative to the tiles' loss; local heads only.",
        low=0,
        high=1000,
    )

    def __post_init__(self) -> None:
        check_settings(self, "recipe.loss")


@dataclass
class RecipeConfig:
    """Which weights are trained, and how."""

    name: str = setting(
        "scratch",
        "`scratch` trains all weights at one rate, `finetune` the backbone at a lower rate, `frozen` the "
        "head alone; `probe` fits the head on cached features of the frozen backbone; `probe_then_finetune` "
        "continues from there, unfreezing stage by stage.",
        choices=RECIPES,
    )
    backbone_lr_scale: float = setting(
        0.1,
        "Ratio of the backbone's learning rate to the head's; `finetune` only.",
        low=0,
        high=1,
    )
    stage_lr_scale: float = setting(
        0.7,
        "Ratio of each stage's learning rate to the next one's, the classifier's being `optimizer.lr`; "
        "`probe_then_finetune` only.",
        low=0,
        high=1,
    )
    unfreeze_by: float = setting(
        0.5,
        "Share of the steps by which all stages are unfrozen, from the top down at equal intervals; "
        "`probe_then_finetune` only.",
        low=0,
        high=1,
    )
    sizes: list[int] = setting(
        [],
        "Progressive resizing: sides of training tiles in pixels, each for an equal share of the epochs. "
        "The last is `model.image_size`, or less for a local head, whose inference may be at a larger size. "
        "Empty for `model.image_size` throughout.",
        low=32,
        high=2048,
    )
    ema_decay: float = setting(
        0.0,
        "Decay per step of an exponential moving average of the weights, which is then evaluated and saved; "
        "0 is off.",
        low=0,
        high=0.99999,
    )
    gradient_clip: float = setting(
        0.0,
        "Largest norm of the gradient; 0 is off. In 16 bits the optimizer is not fused then, and its steps "
        "are slower.",
        low=0,
    )
    views: int = setting(
        0, "Augmented views of each training tile beside the tile itself; `probe` only.", low=0, high=1000
    )
    l2: float | None = setting(
        None,
        "L2 penalty of the head fitted on features; `null` selects it on validation tiles.",
        low=1e-9,
        high=1e9,
    )
    engine: str = setting(
        "auto",
        "Backend that computes the features; `auto` is the fastest one on this machine that agrees with "
        "`eager`, PyTorch in 32 bits.",
        choices=ENGINES,
    )
    loss: LossConfig = node(LossConfig)

    def __post_init__(self) -> None:
        check_settings(self, "recipe")

    def problems(self) -> list[str]:
        """List the keys that are set and that this recipe does not read."""
        problems = []
        plain = RecipeConfig()
        for key, readers in _READ_BY.items():
            if self.name not in readers and getattr(self, key) != getattr(plain, key):
                others = " or ".join(f"recipe={reader}" for reader in readers)
                problems.append(
                    f"recipe.{key}: recipe={self.name} does not read it; use {others}, or leave it out."
                )
        if self.name == "probe":
            problems += unused_keys(self.loss, "recipe.loss", ("name", "label_smoothing"), by="recipe=probe")
        if self.loss.name != "focal" and self.loss.focal_gamma != LossConfig.focal_gamma:
            problems.append(
                f"recipe.loss.focal_gamma: recipe.loss.name={self.loss.name} does not read it; "
                "use recipe.loss.name=focal, or leave it out."
            )
        if self.loss.name == "focal" and self.loss.label_smoothing:
            problems.append(
                "recipe.loss.label_smoothing: recipe.loss.name=focal does not read it; "
                "use recipe.loss.name=cross_entropy, or leave it out."
            )
        return problems
