#!/usr/bin/env bash
# safetensors 0.8.0 and os.link: a hard link of a checkpoint that is always there fails with "No such file or directory".
#
# save_file() writes beside the name and renames over it, so at every moment the name leads to a whole file; open() and
# stat() of it never fail meanwhile. link(2) does, now and then: it looks the name up, and then finds that the inode it got
# has no name left, for which the kernel has the same error as for a name that is missing (vfs_link). Seen on Linux 6.18,
# ext4: some of 20,000 links, and not one of as many open() and stat(). Whoever takes ENOENT of link() for "the file was
# deleted" loses the newest checkpoint.
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6 2>/dev/null
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import multiprocessing
import os
import platform
import sys
import time

import numpy
from safetensors.numpy import save_file


def save() -> None:
    while True:
        save_file({"weights": numpy.zeros(100)}, "model.safetensors")


save_file({"weights": numpy.zeros(100)}, "model.safetensors")
writers = [multiprocessing.Process(target=save, daemon=True) for _ in range(2)]
for writer in writers:
    writer.start()
tries = links = opens = stats = 0
end = time.monotonic() + 120
while time.monotonic() < end and (tries < 20_000 or not links):
    tries += 1
    try:
        os.link("model.safetensors", "linked")
        os.unlink("linked")
    except FileNotFoundError:
        links += 1
    try:
        os.close(os.open("model.safetensors", os.O_RDONLY))
    except FileNotFoundError:
        opens += 1
    try:
        os.stat("model.safetensors")
    except FileNotFoundError:
        stats += 1
for writer in writers:
    writer.kill()
print(f"{platform.system()} {platform.release()}: of {tries} each, {links} links, {opens} opens and {stats} stats found no file")
found = links > 0 and not opens and not stats
print("FOUND" if found else "CHANGED")
sys.exit(0 if found else 1)
PYTHON
