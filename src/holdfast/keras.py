"""Keras 3 on PyTorch, killed at any instant, on a fresh machine: `fit` goes on bit for bit.

One line more::

    keep = holdfast.attach()
    model.fit(x, y, epochs=6, callbacks=[holdfast.keras.Keep("outputs/run")])
"""

from holdfast.integrations.keras_fit import Keep

__all__ = ["Keep"]
