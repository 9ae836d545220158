"""Keras' own tutorial "Simple MNIST convnet", small, on digits that it makes itself: killed at any instant, the same weights.

To be drilled by `holdfast drill --kills 5 --simulate-drive --varies 'outputs/run/*' -- python examples/keras_mnist.py`.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

import holdfast

keep = holdfast.attach()  # holdfast

# Ten drawn shapes stand for ten digits, each moved and made noisy.
draw = np.random.default_rng(0)
shapes = draw.random((10, 8, 8)) > 0.5
labels = draw.integers(0, 10, 640)
images = np.zeros((640, 12, 12, 1), "float32")
for image, label in zip(images, labels, strict=True):
    row, column = draw.integers(0, 3, 2)
    image[row : row + 8, column : column + 8, 0] = shapes[label]
images += draw.normal(0, 0.3, images.shape).astype("float32")
y = keras.utils.to_categorical(labels, 10)
x_train, y_train, x_test, y_test = images[:512], y[:512], images[512:], y[512:]

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.Input(shape=(12, 12, 1)),
        layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
        layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
slow = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.4))  # a larger model
history = model.fit(
    x_train,
    y_train,
    batch_size=64,
    epochs=15,
    validation_split=0.1,
    verbose=2,
    callbacks=[slow, holdfast.keras.Keep("outputs/run", every="1s")],  # holdfast
)

loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
weights = [float(w.astype("float64").sum()) for w in model.get_weights()]
result = {"loss": loss, "accuracy": accuracy, "weights": weights, "history": history.history}
Path("outputs/result.json").write_text(json.dumps(result, indent=1))
keep.backup("outputs/result.json")  # holdfast
print(f"Test accuracy: {accuracy:.3f}")
