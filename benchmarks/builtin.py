"""Write the head that comes with the package: ``python benchmarks/builtin.py best.ckpt``.

``src/crack_lightning/builtin/README.md`` has the command that trains the checkpoint. With ``--keep-head`` the
weights and settings of the present file are kept, and only the scale of the training tiles and the OOD limit
are taken from the checkpoint; both depend on tiles and image statistics only.
"""

import argparse
from pathlib import Path

from crack_lightning.inference.maps.crack_map import measured_reach
from crack_lightning.model.backends.inference_model import InferenceModel, InferenceParts
from crack_lightning.model.weights.builtin import BUILTIN_FILE, load_builtin, write_head
from crack_lightning.model.weights.checkpoints import load_classifier

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--keep-head", action="store_true", help="replace only the scale and the OOD limit")
    options = parser.parse_args()
    model: InferenceParts = load_classifier(options.checkpoint)
    if options.keep_head:
        shipped = load_builtin(InferenceModel)
        shipped.ood_detector = model.ood_detector
        shipped.hparams["train_scale"] = model.hparams["train_scale"]
        model = shipped
    write_head(model, BUILTIN_FILE, reach_px=measured_reach(model))
    print(f"{BUILTIN_FILE}: {BUILTIN_FILE.stat().st_size:,} bytes")
