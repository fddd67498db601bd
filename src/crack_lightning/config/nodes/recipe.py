"""The node ``recipe``: which weights are trained, and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from crack_lightning.config.validators import require_choice, require_range, unused_keys

RECIPES = ("scratch", "finetune", "frozen", "probe", "probe_then_finetune")
ENGINES = ("auto", "eager", "eager_bf16", "openvino", "openvino_bf16")
_BY_STEPS = ("scratch", "finetune", "frozen", "probe_then_finetune")
_BY_FEATURES = ("probe", "probe_then_finetune")
_READ_BY = {
    "backbone_lr_scale": ("finetune",),
    "stage_lr_scale": ("probe_then_finetune",),
    "all_stages_by": ("probe_then_finetune",),
    "sizes": _BY_STEPS,
    "ema_decay": _BY_STEPS,
    "gradient_clip": _BY_STEPS,
    "views": ("probe",),
    "l2": _BY_FEATURES,
    "engine": _BY_FEATURES,
}


@dataclass
class LossConfig:
    """The training loss.

    Attributes:
        name: ``cross_entropy`` or ``focal``.
        label_smoothing: Share of each target spread over all classes; cross entropy only.
        focal_gamma: Focusing parameter of the focal loss; focal only.
        class_weights: ``none``, or ``balanced`` for weights inverse to the classes' frequencies.
        cells: Weight of the cells' cross entropy relative to the tiles' loss; local heads only.
    """

    name: str = "cross_entropy"
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    class_weights: str = "none"
    cells: float = 5.0

    def __post_init__(self) -> None:
        require_choice("recipe.loss.name", self.name, ("cross_entropy", "focal"))
        require_range("recipe.loss.label_smoothing", self.label_smoothing, low=0, high=0.5)
        require_range("recipe.loss.cells", self.cells, low=0, high=1000)
        require_range("recipe.loss.focal_gamma", self.focal_gamma, low=0)
        require_choice("recipe.loss.class_weights", self.class_weights, ("none", "balanced"))


@dataclass
class RecipeConfig:
    """Which weights are trained, and how.

    Attributes:
        name: ``scratch`` trains all weights alike, ``finetune`` the backbone at a lower rate, ``frozen`` the
            head alone; ``probe`` fits the head on cached features of the frozen backbone;
            ``probe_then_finetune`` continues from there, unfreezing stage by stage.
        backbone_lr_scale: Ratio of the backbone's learning rate to the head's; ``finetune`` only.
        stage_lr_scale: Ratio of each stage's learning rate to the next one's, the classifier's being
            ``optimizer.lr``; ``probe_then_finetune`` only.
        all_stages_by: Share of the steps by which all stages are unfrozen, from the top down at equal
            intervals; ``probe_then_finetune`` only.
        sizes: Sides in pixels that training tiles are shrunk to, each for an equal share of the epochs; the
            last is ``model.image_size``, or less for a local head, whose inference may be at a larger size.
            Empty for ``model.image_size`` throughout.
        ema_decay: Decay per step of an exponential moving average of the weights, which is then evaluated and
            saved; ``0`` is off.
        gradient_clip: Largest norm of the gradient; ``0`` is off. In 16 bits the optimizer is not fused then,
            and its steps are slower.
        views: Augmented views of each training tile beside the tile itself; ``probe`` only.
        l2: L2 penalty of the fitted head; ``None`` selects it on validation tiles.
        engine: Backend that computes the features, one of ``ENGINES``; ``auto`` is the fastest one on this
            machine that agrees with ``eager``, PyTorch in 32 bits.
        loss: The training loss.
    """

    name: str = "scratch"
    backbone_lr_scale: float = 0.1
    stage_lr_scale: float = 0.7
    all_stages_by: float = 0.5
    sizes: list[int] = field(default_factory=list)
    ema_decay: float = 0.0
    gradient_clip: float = 0.0
    views: int = 0
    l2: float | None = None
    engine: str = "auto"
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        require_choice("recipe.name", self.name, RECIPES)
        require_range("recipe.backbone_lr_scale", self.backbone_lr_scale, low=0, high=1)
        require_range("recipe.stage_lr_scale", self.stage_lr_scale, low=0, high=1)
        require_range("recipe.all_stages_by", self.all_stages_by, low=0, high=1)
        for size in self.sizes:
            require_range("recipe.sizes", size, low=32, high=2048)
        require_range("recipe.ema_decay", self.ema_decay, low=0, high=0.99999)
        require_range("recipe.gradient_clip", self.gradient_clip, low=0)
        require_range("recipe.views", self.views, low=0, high=1000)
        if self.l2 is not None:
            require_range("recipe.l2", self.l2, low=1e-9, high=1e9)
        require_choice("recipe.engine", self.engine, ENGINES)

    def problems(self) -> list[str]:
        """List the keys that are set and that this recipe does not read."""
        found = []
        plain = RecipeConfig()
        for key, readers in _READ_BY.items():
            if self.name not in readers and getattr(self, key) != getattr(plain, key):
                others = " or ".join(f"recipe={reader}" for reader in readers)
                found.append(
                    f"recipe.{key}: recipe={self.name} does not read it; use {others}, or leave it out."
                )
        if self.name == "probe":
            found += unused_keys(self.loss, "recipe.loss", ("name", "label_smoothing"), by="recipe=probe")
        if self.loss.name != "focal" and self.loss.focal_gamma != LossConfig.focal_gamma:
            found.append(
                f"recipe.loss.focal_gamma: recipe.loss.name={self.loss.name} does not read it; "
                "use recipe.loss.name=focal, or leave it out."
            )
        if self.loss.name == "focal" and self.loss.label_smoothing:
            found.append(
                "recipe.loss.label_smoothing: recipe.loss.name=focal does not read it; "
                "use recipe.loss.name=cross_entropy, or leave it out."
            )
        return found
