#!/usr/bin/env bash
# google-colab-cli 0.7.5: `colab stop` of a machine that its records do not have says "not found" and ends with 0, and asks nobody.
#
# One answer 401 or 404 on the way to a machine has the command drop its record, and the machine goes on and costs money. Who calls
# `colab stop` then, in a script with `set -e`, takes it for given back. What it is to be asked instead is `colab sessions`, which
# shows such a machine as [?]. A record that has the endpoint and no token is enough to have it back:
# {"NAME": {"name": "NAME", "token": "", "url": "", "endpoint": "ENDPOINT", "token_expires_at": null}}
#
# Needs Python 3.12 or newer as PYTHON. No account and no network but the package registry. Prints FOUND and ends with 0 where that is
# so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check google-colab-cli==0.7.5
mkdir -p "$work/.config/colab-cli"
echo '{"enable_update_check": false}' > "$work/.config/colab-cli/settings.json"
status=0
said=$(HOME=$work "$work/venv/bin/colab" --config "$work/sessions.json" stop -s gone </dev/null 2>&1) || status=$?
echo "$said (status $status)"
if [[ $said == *"not found"* && $status == 0 ]]; then echo FOUND; else echo CHANGED; exit 1; fi
