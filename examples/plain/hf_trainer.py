"""Text classification with a Trainer, as in the library's tutorial, saved by the library's own means. It loses work."""

import json
import random
import time
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

WORDS = [
    "good",
    "great",
    "fine",
    "lovely",
    "warm",
    "bad",
    "poor",
    "dull",
    "awful",
    "cold",
    "film",
    "story",
    "was",
    "is",
    "the",
    "very",
]


class Reviews(torch.utils.data.Dataset):
    """Sentences, and whether more good words stand in them than bad ones."""

    def __init__(self, count, seed):
        draw = random.Random(seed)  # noqa: S311
        self.rows = [[draw.randrange(len(WORDS)) for _ in range(12)] for _ in range(count)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        row = self.rows[number]
        time.sleep(0.002)  # as larger data take
        label = int(sum(w < 5 for w in row) > sum(5 <= w < 10 for w in row))
        return {"input_ids": torch.tensor(row), "labels": torch.tensor(label)}


def accuracy(evaluated):
    """The share that is right."""
    return {"accuracy": float((evaluated.predictions.argmax(-1) == evaluated.label_ids).mean())}


set_seed(7)
size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
model = BertForSequenceClassification(BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **size))

args = TrainingArguments(
    output_dir="outputs/run",
    num_train_epochs=16,
    per_device_train_batch_size=8,
    learning_rate=2e-3,
    eval_strategy="epoch",
    save_strategy="epoch",
    load_best_model_at_end=True,
    logging_strategy="no",
    report_to="none",
    disable_tqdm=True,
)
trainer = Trainer(
    model,
    args,
    train_dataset=Reviews(480, seed=1),
    eval_dataset=Reviews(160, seed=2),
    compute_metrics=accuracy,
)
trainer.train(resume_from_checkpoint=any(Path("outputs").glob("run/checkpoint-*")))

found = {name: value for name, value in trainer.evaluate().items() if name in ("eval_loss", "eval_accuracy")}
Path("outputs/result.json").write_text(json.dumps(found))
torch.save(model.state_dict(), "outputs/model.pt")
