#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: what one call asked for is saved with the tokenizer, and cuts every text elsewhere.
#
# `padding` and `truncation` are arguments of a call: the next call without them has neither. They are kept in the tokenizer all
# the same, and `save_pretrained` writes them into tokenizer.json. Seen: after one call with `max_length=8` the file is another
# one, and `tokenizers` alone, which is what serves a model without transformers (from Rust, in a browser), gives 8 tokens for
# a text of 12 with it, without a word. transformers gives 12 with the same file. So two exports of one model differ by what was
# encoded last, and one of them drops the end of long texts.
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3 2>/dev/null
cd "$work"
"$work/venv/bin/python" - <<'PYTHON' 2>/dev/null
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "[PAD]": 2, "[UNK]": 3}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
long = "a b " * 6

tokenizer.save_pretrained("before")
tokenizer(["a b"], padding="max_length", truncation=True, max_length=8)
again = len(tokenizer(long)["input_ids"])
tokenizer(["a b"], padding="max_length", truncation=True, max_length=8)
tokenizer.save_pretrained("after")

print(f"the same tokenizer, asked again without arguments: {again} tokens")
alone = {}
for name in ("before", "after"):
    file = Path(name, "tokenizer.json")
    alone[name] = len(Tokenizer.from_file(str(file)).encode(long).ids)
    by_transformers = len(AutoTokenizer.from_pretrained(name)(long)["input_ids"])
    print(f"saved {name} the call: {file.stat().st_size} bytes; tokenizers {alone[name]} tokens, transformers {by_transformers}")
found = alone == {"before": 12, "after": 8} and again == 12 and by_transformers == 12
print("FOUND" if found else "CHANGED")
sys.exit(0 if found else 1)
PYTHON
