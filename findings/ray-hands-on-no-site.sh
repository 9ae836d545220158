#!/usr/bin/env bash
# Ray 2.60.0: workers of a cluster that a program starts run without the site module where the program does.
#
# Python's -S is an option of one process; PYTHON* variables are how it is handed on. Ray looks whether its caller runs
# with it, and starts every worker, of whatever task, with it too. Seen: a remote task says sys.flags.no_site == 1 where
# the driver was started with -S, and 0 where it was not, with the same environment. A worker so started sees no .pth file
# and no sitecustomize, and in a virtual environment no installed package but those that PYTHONPATH names (here it names
# them). Nothing says so.
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check ray==2.60.0 2>/dev/null
cat >"$work/driver.py" <<'PYTHON'
import logging
import sys

import ray

ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)


@ray.remote
def flags():
    import sys

    return sys.flags.no_site


print(sys.flags.no_site, ray.get(flags.remote()))
PYTHON
cd "$work"
export RAY_USAGE_STATS_ENABLED=0 RAY_TMPDIR="$work"
PYTHONPATH=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
export PYTHONPATH
with=$("$work/venv/bin/python" -S driver.py 2>/dev/null)
without=$("$work/venv/bin/python" driver.py 2>/dev/null)
echo "no_site of driver and worker: $with where the driver has -S, $without where not"
if [[ $with == "1 1" && $without == "0 0" ]]; then
    echo FOUND
else
    echo CHANGED
    exit 1
fi
