"""The work of each stage: `work(bench) -> Made`. Imported when the stage runs, because it loads heavy libraries."""
