"""Searches: what pruning saves and costs, and how long many heads take on features that are kept."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from statistics import mean, median, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeps import events

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

SEEDS = range(5)
TRIALS, EPOCHS = 40, 9
SMALL = (
    # many validation tiles: of few, the best of forty trials is chosen by chance
    *("data.drawn.num_tiles=1200", "data.drawn.tile_px=64", "data.split.fractions=[0.2,0.7,0.1]"),
    *("model=plain_cnn", "model.image_size=48", "data.batch_size=16", "data.num_workers=0"),
    *(f"trainer.max_epochs={EPOCHS}", "trainer.threads=1", "trainer.accelerator=cpu"),
    *("callbacks=none", "logger=none"),
)
SEARCH = ("hparams_search=tpe", f"sweep.trials={TRIALS}", "sweep.objectives=[val/accuracy]")


class Searched(NamedTuple):
    """What a search found: its best validation accuracy, the epochs of all of its trials, those pruned."""

    best: float
    epochs: int
    pruned: int


def pruning(commands: Commands) -> str:
    """Search with and without ASHA from the same seeds; compare epochs and the best trials.

    A sweep's jobs follow one another, so that what is proposed does not depend on which ends first; as many
    sweeps as there are cores run side by side.
    """
    kinds = {"none": [], "asha": ["sweep.pruner=asha"]}
    asked = [(kind, seed) for seed in SEEDS for kind in kinds]

    def search(kind: str, seed: int) -> Searched:
        more = [*kinds[kind], f"seed={seed}"]
        return searched(sweep_of(commands, f"a-{kind}-{seed}", *SMALL, *SEARCH, *more)[0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(asked, pool.map(lambda what: search(*what), asked), strict=True))
    whole, asha = ([found[kind, seed] for seed in SEEDS] for kind in kinds)
    differences = [pruned.best - full.best for full, pruned in zip(whole, asha, strict=True)]
    error = stdev(differences) / sqrt(len(differences))
    epochs = [sum(result.epochs for result in results) for results in (whole, asha)]
    best = [mean(result.best for result in results) for results in (whole, asha)]
    each = [f"{full.best:.4f} and {pruned.best:.4f}" for full, pruned in zip(whole, asha, strict=True)]
    return (
        f"{epochs[0]} epochs unpruned, {epochs[1]} with ASHA ({sum(result.pruned for result in asha)} of "
        f"{TRIALS * len(asha)} trials pruned): {1 - epochs[1] / epochs[0]:.1%} saved; best validation "
        f"accuracy {best[0]:.4f} and {best[1]:.4f} in the mean, difference {mean(differences):+.4f}, its "
        f"standard error {error:.4f} (by seed {', '.join(each)})"
    )


def searched(sweep: Path) -> Searched:
    """Read what a search found from what its runs wrote."""
    state = {event["job"]: event for event in events(sweep) if "state" in event}
    reports = [event for event in events(sweep) if "done" in event]
    done = [job for job, event in state.items() if event["state"] == "done"]
    pruned = [job for job, event in state.items() if event["state"] == "pruned"]
    assert len(done) + len(pruned) == TRIALS, state
    trained = {job: len(_state(sweep, job)["history"]) for job in done}
    shares = {job: max(event["done"] for event in reports if event["job"] == job) for job in pruned}
    trained |= {job: round(EPOCHS * share) for job, share in shares.items()}
    best = max(_state(sweep, job)["validation"]["val/accuracy"] for job in done)
    return Searched(best=best, epochs=sum(trained.values()), pruned=len(pruned))


def _state(sweep: Path, job: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((sweep / str(job) / "state.json").read_text(encoding="utf-8"))
    return told


def heads(commands: Commands, *, trials: int = 100) -> str:
    """Fill the cache with the features of each size and view, then search over heads on them."""
    network = ("recipe=probe", "model=efficientnet_lite0", "model.weights=imagenet", *commands.on_metu)
    sizes = "model.image_size=96,128"
    _, filled_s = sweep_of(commands, "f-features", *network, sizes, "recipe.views=2", "augmentation=light")
    kept = features_kept(commands)
    space = (
        *("recipe.l2=tag(log, interval(1e-6, 1e-1))", "recipe.loss.class_weights=none,balanced", sizes),
        *("recipe.views=0,1,2", "augmentation=choice(light)"),
        'sweep.only_if={augmentation: "recipe.views=1,2"}',
    )
    asked = ("sweep.search=random", f"sweep.trials={trials}", "sweep.jobs=auto")
    sweep, seconds = sweep_of(commands, "f", *network, *space, *asked)
    assert features_kept(commands) == kept, "features were computed while heads were searched"
    told = events(sweep)
    done = {event["job"]: event for event in told if event.get("state") == "done"}
    began = {event["job"]: event["at"] for event in told if event.get("state") == "running"}
    assert len(done) == len(list(sweep.glob("*/report/report.json"))) == trials
    least = min(done.values(), key=lambda event: event["values"]["val/loss"])
    chosen = " ".join(f"{key}={value}" for key, value in params(told, least["job"]).items())
    each = median(done[job]["at"] - began[job] for job in done)
    return (
        f"{seconds:.0f} s for {trials} jobs, in the median {each:.1f} s each; least validation loss "
        f"{least['values']['val/loss']:.4f} ({chosen}); {kept} sets of features and looks were kept, which "
        f"took {filled_s:.0f} s before"
    )


def params(told: list[dict[str, Any]], job: int) -> dict[str, Any]:
    """Return what a search gave a job."""
    given = {event["job"]: event["params"] for event in told if "params" in event}
    return dict(given[job])


def features_kept(commands: Commands) -> int:
    """Count what the cache has of features and looks."""
    return len(list((commands.scratch / "cache" / "features").iterdir()))


def sweep_of(commands: Commands, row: str, *arguments: str) -> tuple[Path, float]:
    """Run a sweep; return its folder and the seconds it took."""
    day, seconds = commands.run(row, "train", "-m", *arguments)
    [sweep] = day.iterdir()
    return sweep, seconds
