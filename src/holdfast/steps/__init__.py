"""Any function as a stage, any notebook cell kept: `@keep.step`, `%%keep`, `keep.plan()`. Decides nothing that `flow` decides."""
