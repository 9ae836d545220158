"""One training by transformers.Trainer: backbones, devices, loss, finished weights and their scores."""
