"""Write the head that comes with the package: ``python benchmarks/builtin.py best.ckpt``.

The run that leaves this checkpoint is in ``src/crack_lightning/builtin/README.md``. With ``--keep-head`` the
weights and settings of the file that is there stay, and the checkpoint gives only the scale of its training
tiles and the limit beyond which tiles are foreign; both come from tiles and image statistics alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from crack_lightning.inference.maps.crack_map import measured_reach
from crack_lightning.model.backends.inference_model import InferenceModel, InferenceParts
from crack_lightning.model.weights.builtin import BUILTIN_FILE, load_builtin, write_head
from crack_lightning.model.weights.checkpoints import load_classifier


def main() -> None:
    """Export the head of a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--keep-head", action="store_true", help="renew the scale and the limit alone")
    asked = parser.parse_args()
    classifier: InferenceParts = load_classifier(asked.checkpoint)
    if asked.keep_head:
        shipped = load_builtin(InferenceModel)
        shipped.novelty = classifier.novelty
        shipped.hparams["train_scale"] = classifier.hparams["train_scale"]
        classifier = shipped
    write_head(classifier, BUILTIN_FILE, reach_px=measured_reach(classifier))
    print(f"{BUILTIN_FILE}: {BUILTIN_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
