"""What a person does after a refusal, or to a file that was read: the second try is right, or refused; never read otherwise."""

from __future__ import annotations

import ast
import html
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.pipeline.data.reading import examine
from tests.pipeline.data.formats.test_samples import SAMPLES, right_sentences, right_texts

Try = tuple[str, str]


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8-sig")


def objects(name: str) -> list[dict[str, Any]]:
    text = sample(name)
    found = [json.loads(line) for line in text.splitlines()] if text.startswith("{") and "\n{" in text else json.loads(text)
    return found if isinstance(found, list) else [found]


def lines(rows: list[Any], name: str = "a.jsonl") -> Try:
    return name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def own(documents: list[tuple[str, list[Any]]]) -> Try:
    return lines([{"text": text, "annotations": marks} for text, marks in documents])


def edited(name: str, change: Callable[[list[str]], list[str]], to: str | None = None) -> Try:
    """The sample with its lines changed, as an editor would."""
    return to or Path(name).name, "\n".join(change(sample(name).split("\n")))


def cells(name: str, keep: Callable[[list[str]], list[str]], to: str = "a.tsv") -> Try:
    """The sample with the columns of each line changed, as a spreadsheet would."""

    def line(given: str) -> str:
        found = re.split("[\t ]+", given.strip())
        return "\t".join(keep(found)) if given.strip() else ""

    return edited(name, lambda rows: [row if row.startswith("#") else line(row) for row in rows], to)


def without(name: str, *keys: str, to: str = "a.jsonl") -> Try:
    return lines([{k: v for k, v in given.items() if k not in keys} for given in objects(name)], to)


def renamed(name: str, **keys: str) -> Try:
    return lines([{keys.get(k, k): v for k, v in given.items()} for given in objects(name)])


def _lighttag() -> Try:
    examples = objects("lighttag.json")[0]["annotations_and_examples"]
    return own([(e["content"], [[a["start"], a["end"], a["tag"]] for a in e["annotations"]]) for e in examples])


def _kili() -> Try:
    made = []
    for asset in objects("kili.json"):
        found = next(iter(asset["labels"][0]["jsonResponse"].values()))["annotations"]
        marks = [[a["beginOffset"], a["beginOffset"] + len(a["content"]), a["categories"][0]["name"]] for a in found]
        made.append((asset["content"], marks))
    return own(made)


def _labelbox(more: int) -> Try:
    made = []
    for row in objects("labelbox-legacy.json"):
        places = [(o["data"]["location"], o["title"]) for o in row["Label"]["objects"]]
        made.append((row["Labeled Data"], [[at["start"], at["end"] + more, label] for at, label in places]))
    return own(made)


def _azure() -> Try:
    made = []
    for document in objects("azure/labels.json")[0]["assets"]["documents"]:
        marks = [[at["offset"], at["offset"] + at["length"], at["category"]] for e in document["entities"] for at in e["labels"]]
        made.append((sample(f"azure/{document['location']}"), marks))
    return own(made)


def _vertex(*, as_text: bool) -> Try:
    number = str if as_text else int
    made = []
    for row in objects("vertex.jsonl"):
        found = row["textSegmentAnnotations"]
        marks = [[number(a.get("startOffset", 0)), number(a["endOffset"]), a["displayName"]] for a in found]
        made.append((row["textContent"], marks))
    return own(made)


def _ubiai() -> Try:
    return own([(d["document"], [[t["start"], t["end"], t["entityLabel"]] for t in d["tokens"]]) for d in objects("ubiai.json")])


def _tagtog() -> Try:
    legend = json.loads(sample("tagtog/annotations-legend.json"))
    made = []
    for name in ("d1", "d2", "d3"):
        page = sample(f"tagtog/{name}.plain.html")
        parts = {key: html.unescape(text) for key, text in re.findall(r'<p id="(\w+)">(.*?)</p>', page, re.DOTALL)}
        begins = {key: sum(len(t) + 1 for t in list(parts.values())[:n]) for n, key in enumerate(parts)}
        marks = []
        for entity in objects(f"tagtog/{name}.ann.json")[0]["entities"]:
            at = entity["offsets"][0]
            begin = begins[entity["part"]] + at["start"]
            marks.append([begin, begin + len(at["text"]), legend[entity["classId"]]])
        made.append(("\n".join(parts.values()), marks))
    return own(made)


def _argilla() -> Try:
    rows = objects("argilla-records.json")
    return own(
        [(r["fields"]["text"], [[v["start"], v["end"], v["label"]] for v in r["responses"]["span"][0]["value"]]) for r in rows]
    )


def _dataturks(more: int) -> Try:
    rows = [(d["content"], [(p, a["label"][0]) for a in d["annotation"] for p in a["points"]]) for d in objects("dataturks.json")]
    return own([(text, [[p["start"], p["end"] + more, label] for p, label in marks]) for text, marks in rows])


def _datasets() -> Try:
    names = json.loads(sample("datasets-save_to_disk/train/dataset_info.json"))["features"]["ner_tags"]["feature"]["names"]
    return lines([{**row, "ner_tags": [names[n] for n in row["ner_tags"]]} for row in objects("datasets.jsonl")])


def _gliner_as_characters() -> Try:
    return own([(" ".join(d["tokenized_text"]), d["ner"]) for d in objects("gliner.json")])


#: Each second try, and what it gives: the documents by text or by sentence, or words of the refusal.
TRIES: dict[str, tuple[Callable[[], Try], str]] = {
    # files by other names, and saved by other programs
    "a list renamed to lines": (lambda: ("a.jsonl", sample("label-studio.json")), "texts"),
    "lines renamed to a list": (lambda: ("a.json", sample("doccano.jsonl")), "texts"),
    "lines renamed to text": (lambda: ("a.txt", sample("doccano.jsonl")), "texts"),
    "columns renamed to a table": (lambda: ("a.csv", sample("conll2003.conll")), "no header of a table that is read"),
    "a table renamed to columns": (lambda: ("a.tsv", sample("kaggle-ner.csv")), "sentences"),
    "Python renamed to text": (lambda: ("a.txt", sample("spacy2-train_data.py")), "texts"),
    "the tuples of Python written as JSON": (
        lambda: lines(ast.literal_eval(sample("spacy2-train_data.py").partition("=")[2].strip())),
        "texts",
    ),
    "saved with a mark of byte order and other line ends": (
        lambda: ("a.jsonl", "\ufeff" + sample("doccano.jsonl").replace("\n", "\r\n")),
        "texts",
    ),
    "brat's text without its annotations": (lambda: ("d1.txt", sample("brat/d1.txt")), "plain text without annotations"),
    # headers and comments cut
    "the header of Kaggle's table cut": (lambda: edited("kaggle-ner.csv", lambda rows: rows[1:], "a.csv"), "unknown suffix '.csv'"),
    "the same, with tabs in place of commas": (
        lambda: (
            "a.tsv",
            sample("kaggle-ner.csv").partition("\n")[2].replace(',",",', "\t,\t").replace(",", "\t").replace("\t\t\t", "\t,\t"),
        ),
        "sentences",
    ),
    "the header of Label Studio's table cut": (
        lambda: edited("label-studio.tsv", lambda rows: rows[1:], "a.tsv"),
        "columns where the others have",
    ),
    "the first line of Label Studio's CoNLL cut": (
        lambda: ("a.conll", sample("label-studio.conll").partition("\n")[2]),
        "as label-studio.conll",
    ),
    "GermEval's comments deleted": (
        lambda: edited("germeval2014.tsv", lambda rows: [row for row in rows if not row.startswith("#")]),
        "sentences",
    ),
    "WebAnno's comments deleted": (
        lambda: edited("webanno-d1.tsv", lambda rows: [row for row in rows if not row.startswith("#")]),
        "is not a tag",
    ),
    "CoNLL-2012 without its lines of begin": (
        lambda: edited("conll2012.gold_conll", lambda rows: [row for row in rows if not row.startswith("#")], "a.conll"),
        "is not a tag",
    ),
    # columns dropped and moved
    "GermEval without its inner layer": (lambda: cells("germeval2014.tsv", lambda c: c[:3]), "sentences"),
    "GermEval without its numbers": (lambda: cells("germeval2014.tsv", lambda c: c[1:]), "each hold tags"),
    "CoNLL-2003 without parts of speech": (lambda: cells("conll2003.conll", lambda c: [c[0], *c[2:]]), "sentences"),
    "CoNLL-2003 without chunks": (lambda: cells("conll2003.conll", lambda c: [*c[:2], *c[3:]]), "sentences"),
    "CoNLL-2003 without its names": (lambda: cells("conll2003.conll", lambda c: c[:3]), "holds chunks"),
    "brat's columns without the tags": (lambda: cells("brat-anntoconll.conll", lambda c: c[1:]), "is not a tag"),
    "CoNLL-2012 cut to word and names": (lambda: cells("conll2012.gold_conll", lambda c: [c[3], c[10]]), "expected at least 11"),
    "IOBES written as IOB2": (
        lambda: ("a.conll", sample("iobes.conll").replace("E-", "I-").replace("S-", "B-")),
        "sentences",
    ),
    # what messages say
    "doccano's label renamed": (lambda: renamed("doccano.jsonl", label="annotations"), "texts"),
    "doccano's label renamed, with an empty list beside": (
        lambda: lines([{"text": d["text"], "labels": d["label"], "annotations": []} for d in objects("doccano.jsonl")]),
        "is not",
    ),
    "Prodigy's spans renamed": (lambda: without("prodigy.jsonl", "_task_hash", "answer"), "'spans'"),
    "Label Studio's JSON-MIN without its numbers": (
        lambda: without("label-studio-min.json", "annotation_id", "annotator", "lead_time"),
        "no 'annotations'",
    ),
    "Ground Truth without its metadata": (lambda: without("sagemaker-output.manifest", "cv-ner-metadata"), "no 'text'"),
    "LightTag written as said": (_lighttag, "texts"),
    "Kili written as said": (_kili, "texts"),
    "Labelbox written as said": (lambda: _labelbox(1), "texts"),
    "Labelbox without 1 added to the ends": (lambda: _labelbox(0), "texts"),
    "Azure written as said": (_azure, "texts"),
    "Vertex written as said": (lambda: _vertex(as_text=False), "texts"),
    "Vertex with its offsets as texts": (lambda: _vertex(as_text=True), "expected [start, end, label]"),
    "UBIAI written as said": (_ubiai, "texts"),
    "tagtog written as said": (_tagtog, "texts"),
    "Argilla written as said": (_argilla, "texts"),
    "the names written in place of the numbers of tags": (_datasets, "sentences"),
    "DataTurks as it is": (lambda: _dataturks(0), "texts"),
    "DataTurks with 1 added to the ends": (lambda: _dataturks(1), "texts"),
    "GLiNER's tokens taken for characters": (_gliner_as_characters, "mend the offsets"),
}


@pytest.mark.parametrize("case", TRIES)
def test_a_second_try_is_right_or_refused(case: str, tmp_path: Path) -> None:
    made, what = TRIES[case]
    name, content = made()
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    found = examine(path)
    if what in {"texts", "sentences"} or what.startswith("as "):
        assert found.problems == ()
    documents = found.reading.documents
    if what == "texts":
        assert [(d.text, [(s.start, s.end, s.label) for s in d.spans]) for d in documents] == right_texts()
    elif what == "sentences":
        read = [([d.text[a:b] for a, b in d.words], [(d.text[s.start : s.end], s.label) for s in d.spans]) for d in documents]
        assert read == right_sentences()
    elif what.startswith("as "):
        assert documents == examine(SAMPLES / what[3:]).reading.documents
    else:
        assert any(what in problem for problem in found.problems), (found.problems, found.reading.format, documents)


def test_one_person_s_file_out_of_doccano_s_zip_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(SAMPLES / "edge" / "doccano-two-users.zip") as packed:
        packed.extractall(tmp_path)
    found = [examine(path) for path in sorted(tmp_path.rglob("*.jsonl"))]
    assert len(found) == 2
    assert all(one.problems == () for one in found)
    texts, others = ([d.text for d in one.reading.documents] for one in found)
    assert texts == others
    assert found[0].reading.documents != found[1].reading.documents  # so both of them together would be learnt twice
