"""Two plain Keras scripts' schedules on a run's splits, for an environment with TensorFlow alone.

    python benchmarks/keras_scripts.py first --root tiles --splits splits.csv --fraction 0.1

``first``: MobileNetV2, frozen, 160 px, flip and rotation, dropout 0.3, 10 epochs. ``second``: Conv 16-32-32,
Dense 256, 256 px, Adam 1e-4, 6 epochs, where early stopping ended it. Both validate after each epoch.
``--fraction`` trains and validates on that share of an epoch's steps and extrapolates; the last line is JSON
that says so. The weights are random, as ImageNet's cannot be had offline; they take the same time.
"""

import argparse
import csv
import json
import math
import time
from pathlib import Path

BEGAN = time.perf_counter()

import tensorflow as tf  # noqa: E402 - its import counts
from tensorflow import keras  # noqa: E402

BATCH = 32
SCHEDULES = {"first": (160, 10), "second": (256, 6)}


def tiles(root: Path, splits: Path, split: str, *, size: int) -> tf.data.Dataset:
    with splits.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    paths = [str(root / row["path"]) for row in rows]
    labels = [float(row["label"] == "crack") for row in rows]

    def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (size, size)), label

    listed = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths), seed=0)
    return listed.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def first(size: int) -> keras.Model:
    base = keras.applications.MobileNetV2(input_shape=(size, size, 3), include_top=False, weights=None)
    base.trainable = False
    inputs = keras.Input((size, size, 3))
    changed = keras.layers.RandomRotation(0.2)(keras.layers.RandomFlip("horizontal")(inputs))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(changed)
    pooled = keras.layers.GlobalAveragePooling2D()(base(scaled, training=False))
    outputs = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.3)(pooled))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy", metrics=["accuracy"])
    return model


def second(size: int) -> keras.Model:
    layers = [keras.Input((size, size, 3)), keras.layers.Rescaling(1 / 255)]
    for filters in (16, 32, 32):
        layers += [keras.layers.Conv2D(filters, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dense(256, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedule", choices=list(SCHEDULES))
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True, help="a run's splits.csv")
    parser.add_argument("--fraction", type=float, default=1.0, help="of an epoch's steps")
    asked = parser.parse_args()
    size, epochs = SCHEDULES[asked.schedule]
    train, val = (tiles(asked.root, asked.splits, split, size=size) for split in ("train", "val"))
    model = {"first": first, "second": second}[asked.schedule](size)
    steps = {"train": len(train), "val": len(val)}
    taken = {split: max(2, math.ceil(number * asked.fraction)) for split, number in steps.items()}
    model.fit(train, steps_per_epoch=2, validation_data=val, validation_steps=2, verbose=0)  # traces
    start_s = time.perf_counter() - BEGAN
    seconds = {}
    began = time.perf_counter()
    model.fit(train.take(taken["train"]), verbose=0)
    seconds["train"] = (time.perf_counter() - began) * steps["train"] / taken["train"]
    began = time.perf_counter()
    model.evaluate(val.take(taken["val"]), verbose=0)
    seconds["val"] = (time.perf_counter() - began) * steps["val"] / taken["val"]
    print(
        json.dumps(
            {
                "schedule": asked.schedule,
                "steps": taken,
                "of": steps,
                "start_s": start_s,
                "epoch_s": seconds,
                "epochs": epochs,
                "seconds": start_s + epochs * sum(seconds.values()),
                "version": tf.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
