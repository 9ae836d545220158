#!/usr/bin/env bash
# rclone mount (1.60, Debian 12; --vfs-cache-mode off, the default): O_CREAT|O_EXCL succeeds on a file that is there, and empties it.
#
# open(2) says of O_EXCL: ensure that this call creates the file. A mount answers from its directory cache, five minutes old at
# the most by default. Seen: another client wrote a file meanwhile; the exclusive create here succeeds, and once it is closed the
# other's content is gone. mkdir of a folder that another client made succeeds too, and shows at once what is in it. Whoever
# takes a lock file, or a name that may be taken once only, through rclone, has neither.
#
# Needs rclone and fuse3. Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'fusermount3 -u -z "$work/mount" || true; rm -rf "$work"' EXIT
mkdir "$work/below" "$work/mount"
printf '[here]\ntype = local\n' > "$work/rclone.conf"
rclone --config "$work/rclone.conf" mount "here:$work/below" "$work/mount" --daemon --cache-dir "$work/cache"
cd "$work"
python3 - <<'PYTHON'
import os
import sys
import time

os.listdir("mount")
with open("below/lock", "w") as other:
    other.write("held by another client")
try:
    os.close(os.open("mount/lock", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    print("exclusive create of a file that is there: succeeded")
except FileExistsError:
    print("exclusive create of a file that is there: refused")
for _ in range(50):
    left = open("below/lock").read()
    if not left:
        break
    time.sleep(0.1)
print(f"what the other client wrote: {left!r}")
print("CHANGED" if left else "FOUND")
sys.exit(1 if left else 0)
PYTHON
