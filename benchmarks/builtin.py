"""Write the head that comes with the package: ``python benchmarks/builtin.py best.ckpt``.

The run that leaves this checkpoint is in ``src/crack_lightning/builtin/README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from crack_lightning.inference.mapping import map_reach
from crack_lightning.model.builtin import BUILTIN_FILE, write_head
from crack_lightning.model.checkpoints import load_classifier


def main() -> None:
    """Export the head of a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    classifier = load_classifier(parser.parse_args().checkpoint)
    write_head(classifier, BUILTIN_FILE, reach_px=map_reach(classifier))
    print(f"{BUILTIN_FILE}: {BUILTIN_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
