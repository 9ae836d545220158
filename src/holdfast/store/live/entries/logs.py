"""Entries of the table of kinds: logs and event files, which grow at their end."""

from __future__ import annotations

from holdfast.store.live.kind import FileKind, Treatment

_LOGS = "Logs and event files"

TFRECORD = FileKind(
    "TensorBoard and TFRecord",
    _LOGS,
    "torch's SummaryWriter, tensorboardX, TensorFlow",
    "a length and its checksum at the start",
    Treatment.PREFIX,
    worth="is good to its last whole record, and may lag behind: tensorboardX keeps records back even at `flush()`",
    whole="its last record is whole",
    advice="close the writer before the last backup",
)
WANDB = FileKind(
    "Weights & Biases, offline",
    _LOGS,
    "wandb",
    "`:W&B` at the start",
    Treatment.PREFIX,
    worth="is good to its last whole record, and lags behind: `log()` fills a buffer",
    whole="its last record is whole",
    advice="`wandb.finish()` before the last backup",
)
OPTUNA_JOURNAL = FileKind(
    "Optuna's journal",
    _LOGS,
    "Optuna's JournalFileBackend",
    "`op_code` in its first line",
    Treatment.PREFIX,
    worth="is good to its last whole line; a half line is spoilt for good by the next trial",
    whole="always; a half line is left out",
    advice="nothing",
)
JSON_LINES = FileKind(
    "JSON lines",
    _LOGS,
    "loggers, data sets",
    "`.jsonl` or `.ndjson`",
    Treatment.PREFIX,
    worth="is good to its last whole line",
    whole="always; a half line is left out",
    advice="`flush()` after a line that must be kept",
)
TEXT_LOG = FileKind(
    "log",
    _LOGS,
    "logging, `nohup`, what a program prints",
    "text in `.log`, `.out`, `.err`, or with the name `LOG`",
    Treatment.PREFIX,
    worth="is good as far as it went",
    whole="always",
    advice="nothing",
)
