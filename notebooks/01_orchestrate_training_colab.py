# ---
# jupyter:
#   accelerator: GPU
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: accelerator,kernelspec,jupytext
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train a named-entity model on Colab, and let the session die
#
# Search, benchmark, best configuration, final training, ONNX: from documents to a converted model, with everything kept on Google Drive as it is made.
#
# **There is one instruction: *Runtime → Run all*.** The first time, after every disconnect, and until the last cell says that everything is done. What is done is
# recognised, what is missing comes back from Drive, and the work goes on where it was: in a trial or in the final training at its last checkpoint. The model is the
# one that an uninterrupted run makes.
#
# The same notebook runs unchanged on a laptop and on Kaggle. There the outputs stay on the machine, unless `HOLDFAST_DRIVE` names a folder that outlives it.

# %% [markdown]
# ## 1 · What to run
#
# Change these lines if you like, nothing below.
#
# - `source` is where the software comes from: a wheel, as `make wheel` makes it, at this place on your Drive; or a repository. Whatever pip can install may stand there.
# - `experiment` is an experiment file (a path, also one on your Drive), or `sample`: built-in résumés, some minutes on two cores.
# - `disconnect_when_done = True` gives the machine back at the end, and only once everything is known to be safe on Drive.

# %%
source = "/content/drive/MyDrive/holdfast-0.1.0-py3-none-any.whl[pipeline]"
# source = "holdfast[pipeline] @ git+https://ADDRESS-OF-THE-REPOSITORY"
experiment = "sample"
disconnect_when_done = False

# %% [markdown]
# ## 2 · Install
#
# A minute on a fresh machine, nothing where it is installed. What Colab has installed already stays as it is. Where the wheel lies on Drive, Colab asks here whether
# this notebook may use your Drive, and not again below.

# %%
import contextlib
import importlib.util
import os

from IPython import get_ipython
from IPython.core.error import UsageError

if importlib.util.find_spec("holdfast") is None:
    wheel = source.removesuffix("[pipeline]")
    mount_point, on_drive, _ = wheel.partition("/MyDrive/")
    if on_drive:
        with contextlib.suppress(Exception):  # not on Colab, or not allowed: what to do is said below
            from google.colab import drive

            drive.mount(mount_point)
    if wheel.endswith(".whl") and not os.path.exists(wheel):
        raise UsageError(
            f"Holdfast is not installed, and {wheel} is not there. Make it with `make wheel` in the repository, put it there (allow access to Drive "
            "when Colab asks), or set `source` in the first cell to where it is; then run all cells again."
        )
    get_ipython().run_line_magic("pip", f"install --quiet '{source}'")
    importlib.invalidate_caches()
    if importlib.util.find_spec("holdfast") is None:
        raise UsageError(
            f"pip could not install {source}, and says why above. Set `source` in the first cell, then run all cells again."
        )

# %% [markdown]
# ## 3 · Drive
#
# Colab asks once a session whether this notebook may use your Drive; say yes. Where Drive is mounted already, nobody is asked.
#
# *After a disconnect* you are asked once more, because the machine is a new one. *If Drive stops answering* while you work, run all cells again: it is mounted anew, and it
# is said what may not have arrived.

# %%
import holdfast

keep = holdfast.attach()

# %% [markdown]
# ## 4 · Files of your own
#
# Everything below restores and backs up by itself. For a file that you make yourself somewhere below `outputs/`, this is all there is:
# `ensure_restored_from_drive` answers whether it is here now (here already, or restored), and `backup_to_drive` keeps it once you have made it.
#
# *After a disconnect* the file comes back here if you had backed it up.

# %%
from holdfast import BACKUP_ENABLED, ensure_restored_from_drive

print("backups are on:", BACKUP_ENABLED)
print("my notes are here:", ensure_restored_from_drive(keep.root / "outputs" / "notes.md"))

# %% [markdown]
# ## 5 · The experiment
#
# Reads it, and says where its outputs are and where they are backed up.

# %%
from holdfast.pipeline.notebook import open_pipeline

pipeline = open_pipeline(keep, experiment)

# %% [markdown]
# ## 6 · Search
#
# The documents are read and split once. Then one Optuna study for each backbone, trial by trial. The study and its trials are backed up after every checkpoint and every
# trial.
#
# *After a disconnect*: `Welcome back: hpo/tiny 7 of 20 trials, …`. The trial that was cut off goes on at its last checkpoint, under its own number.

# %%
pipeline.hpo()

# %% [markdown]
# ## 7 · Benchmark
#
# How fast the best trial of each study is on this machine.
#
# *After a disconnect*: restored, not measured again.

# %%
pipeline.benchmark()

# %% [markdown]
# ## 8 · Check the benchmarks
#
# Each is brought here if it is missing, checked to be one of these weights, and shown.

# %%
pipeline.verify_benchmarks()

# %% [markdown]
# ## 9 · The best configuration
#
# Chosen among all complete trials, with every parameter taken from the study itself.

# %%
pipeline.select()

# %% [markdown]
# ## 10 · Final training
#
# The best configuration once more, on the data that the experiment names. Checkpoints are backed up as they are saved, weights and metrics when it is over.
#
# *After a disconnect* it goes on at its last checkpoint, with optimizer, schedule, random states and position in the data.

# %%
pipeline.train()

# %% [markdown]
# ## 11 · What the conversion needs
#
# The training cache, then the weights that it names; if those are missing or partial, the folder around them.
#
# *After a disconnect* they come back from Drive here. Where the model is converted already, they are not needed and not fetched.

# %%
pipeline.restore_training()

# %% [markdown]
# ## 12 · Convert
#
# To ONNX, and to an 8-bit model beside it. They are kept only if they find the same entities as the trained model.

# %%
pipeline.convert()

# %% [markdown]
# ## 13 · Done
#
# A report, the scores, and where everything is. The last line says whether all of it is safe on Drive. With `disconnect_when_done` the machine is given back then; if
# anything is not known to be safe, it is kept, and named.
#
# *After a disconnect* this cell brings model, metrics and report to the new machine. Nothing is trained again.

# %%
pipeline.summary()
ending = keep.finish(disconnect=disconnect_when_done)
