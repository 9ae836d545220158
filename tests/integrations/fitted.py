"""Small trainings of Keras, killed in the middle and gone on with. Run as a program, it trains in a process of its own."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from blake3 import blake3

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

SAMPLES, BATCH, STEPS, EPOCHS = 22, 4, 6, 3


class Cut(BaseException):
    """The end of a machine, inside the process."""


class CutAfter(keras.callbacks.Callback):
    """Stands for a kill right after so many batches, and tells what the model was then."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._left -= 1
        if self._left < 0:
            raise Cut


def points() -> tuple[np.ndarray, np.ndarray]:
    """One feature is the sample's own number, so that it is known who was seen."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=(SAMPLES, 5)).astype("float32")
    x[:, 0] = np.arange(SAMPLES)
    return x, (x[:, 1:2] * 2 - x[:, 2:3]).astype("float32")


def build(seed: int = 5, width: int = 6, rate: float = 0.01, optimizer: Any = None, drop: float = 0.3) -> Any:
    """Dropout, normalization and a metric: each has state that a weights file does not have, or not all of."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(drop),
            keras.layers.GaussianNoise(0.1),  # draws by a seed state of its own
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=optimizer or keras.optimizers.Adam(rate), loss="mse", metrics=["mae"])
    return model


class Seen(keras.callbacks.Callback):
    """The samples of each batch that is trained on, and of which epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, ...]] = []

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        step = model.train_step

        def told(data: Any) -> Any:
            x = data[0] if isinstance(data, tuple | list) else data
            self.rows.append(tuple(int(v) for v in np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)[:, 0]))
            return step(data)

        model.train_step = told


class Shuffled(keras.utils.PyDataset):
    """Puts its samples in another order at each epoch's end, by random numbers of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.x, self.y = points()
        self.draw = np.random.default_rng(8)
        self.order = np.arange(SAMPLES)

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self) -> None:
        self.draw.shuffle(self.order)


def loader(workers: int = 0, generator: int | None = None) -> torch.utils.data.DataLoader[Any]:
    x, y = points()
    held = None if generator is None else torch.Generator().manual_seed(generator)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=workers, generator=held)


class Stream(torch.utils.data.IterableDataset[Any]):
    """Of no known length."""

    def __init__(self, samples: int = SAMPLES) -> None:
        super().__init__()
        self.samples = samples

    def __iter__(self) -> Iterator[Any]:
        return iter(list(zip(*points(), strict=True))[: self.samples])


def streamed(samples: int = SAMPLES) -> dict[str, Any]:
    return {"x": torch.utils.data.DataLoader(Stream(samples), BATCH), "shuffle": False}


def endless() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws each batch from NumPy's random numbers."""
    x, y = points()
    while True:
        rows = np.random.permutation(SAMPLES)[:BATCH]
        yield x[rows], y[rows]


def arrays() -> dict[str, Any]:
    x, y = points()
    return {"x": x, "y": y, "batch_size": BATCH}


def validated() -> dict[str, Any]:
    return {**arrays(), "validation_data": points()}


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "arrays": arrays,
    "arrays-in-order": lambda: {**arrays(), "shuffle": False},
    "arrays-by-batch": lambda: {**arrays(), "shuffle": "batch"},
    "arrays-over-epochs": lambda: {**arrays(), "steps_per_epoch": 4},
    "loader": lambda: {"x": loader(), "shuffle": False},
    "loader-own-generator": lambda: {"x": loader(generator=11), "shuffle": False},
    "loader-2-workers": lambda: {"x": loader(workers=2), "shuffle": False},
    "pydataset": lambda: {"x": Shuffled()},
    "pydataset-in-order": lambda: {"x": Shuffled(), "shuffle": False},
    "pydataset-2-threads": lambda: {"x": Shuffled(workers=2), "shuffle": False},
    "generator": lambda: {"x": endless(), "shuffle": False, "steps_per_epoch": STEPS},
    "stream": streamed,
    "validated": validated,
}


def state_of(model: Any) -> list[bytes]:
    """Every bit that a training leaves: weights, seed states, optimizer."""
    return [v.value.detach().cpu().numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]]


def said_of(model: Any, fit: Any) -> list[str]:
    """What has to be equal, in two lines."""
    return [blake3(b"".join(state_of(model))).hexdigest(), repr(fit.history)]


def main() -> None:
    """python -m tests.integrations.fitted KIND RESULT: with `keep` of this folder; the result is a file of digests."""
    import holdfast
    from holdfast.keras import Keep

    kind, result = sys.argv[1:3]
    holdfast.attach(quiet=True, background=not os.environ.get("PAUSED"))
    model, seen = build(), Seen()
    fit = model.fit(**DATA[kind](), epochs=EPOCHS, verbose=0, callbacks=[Keep("outputs/run", steps=1), seen, _Pause()])
    Path(result).write_text("\n".join([*said_of(model, fit), f"{len(seen.rows)} trained"]))


class _Pause(keras.callbacks.Callback):
    """Says that a batch is over, and waits for the word to go on, where it is asked to."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if os.environ.get("PAUSED"):
            print("batch", flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main()
