#!/usr/bin/env bash
# tensorboard 2.21.0: of two logs that one process begins within a second, the tenth is read before the ninth.
#
# A run that goes on in the same folder tells TensorBoard by a SessionLog.START event (SummaryWriter's purge_step) to forget the steps
# that it logs anew. Logs are read in the order of their names, which hold the second of their beginning, host, process, and a counter
# of the process that is written without leading zeros. Seen: steps 1 to 5 by writer 9, then START at step 3 and steps 3 to 5 by writer 10:
# read alone in that order [1, 2, 3, 4, 5]; in one folder the START is read first, and [3, 4, 5, 1, 2, 3, 4, 5] is left: steps twice. From
# other numbers, 10 and 11 say, it is [1, 2, 3, 4, 5].
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check tensorboard==2.21.0 'setuptools<81' 2>/dev/null
cd "$work"
"$work/venv/bin/python" - 2>/dev/null <<'PYTHON'
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer import event_file_writer


def shown(first):
    """The steps that are shown of two logs of one second, the first by the writer of this number."""
    folder = f"run-{first}"
    event_file_writer._global_uid = event_file_writer.AtomicCounter(first)
    time.sleep(1 - time.time() % 1)  # a whole second lies ahead
    for steps, begins in (((1, 2, 3, 4, 5), None), ((3, 4, 5), 3)):
        writer = event_file_writer.EventFileWriter(folder)
        if begins is not None:
            writer.add_event(Event(step=begins, session_log=SessionLog(status=SessionLog.START)))
        for step in steps:
            writer.add_event(Event(step=step, summary=Summary(value=[Summary.Value(tag="loss", simple_value=1.0 / step)])))
        writer.close()
    return [event.step for event in EventAccumulator(folder).Reload().Scalars("loss")]


ninth, tenth = shown(9), shown(10)
print(f"writers 9 and 10: {ninth}; writers 10 and 11: {tenth}")
found = tenth == [1, 2, 3, 4, 5] and ninth != tenth
print("FOUND" if found else "CHANGED")
sys.exit(0 if found else 1)
PYTHON
