"""From finished weights to ONNX, the proof that it agrees, and finding entities with it."""
