"""What is computed again after a change, a kill and a lost machine: `keep.step` beside joblib.Memory, DVC, Metaflow and Prefect.

One small example for each: step a reads a file and uses a helper, b takes what a made, c what b made. Each tool has its store on a
"drive" that outlives the machine, and is used as its documentation says. Each step that computes writes its name into a log, which is
all that the table shows. Every peer is installed into a virtual environment of its own, so the network is needed once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).parent

#: What every example begins with: `mark` says that a step computes, and dies in the middle of it where that is asked for.
MARK = """
import os
def mark(name):
    with open(os.environ["LOG"], "a") as log:
        log.write(name + "\\n")
    if os.environ.get("DIES") == name:
        os.kill(os.getpid(), 9)
"""
HELPER = """
def helper(line):
    return line.strip()
"""
HOLDFAST = (
    MARK
    + HELPER
    + """
import json
from pathlib import Path
import holdfast
from holdfast.errors import MadeOtherwise
keep = holdfast.attach(drive=os.environ["STORE"], quiet=True)
@keep.step(outputs="outputs/a.json", inputs=["data.csv"], ignore=["mark"])
def a():
    mark("a")
    Path("outputs/a.json").write_text(json.dumps([helper(row) for row in Path("data.csv").read_text().splitlines()]))
@keep.step(outputs="outputs/b.json", inputs=[a], ignore=["mark"])
def b():
    mark("b")
    Path("outputs/b.json").write_text(json.dumps(sorted(json.loads(Path("outputs/a.json").read_text()))))
@keep.step(outputs="outputs/c.json", inputs=[b], ignore=["mark"])
def c():
    mark("c")
    Path("outputs/c.json").write_text(json.dumps(len(json.loads(Path("outputs/b.json").read_text())[0])))
for step in (a, b, c):
    try:
        step()
    except MadeOtherwise as error:
        mark("refused")
        print(error)
        step.again()
"""
)
JOBLIB = (
    MARK
    + HELPER
    + """
from joblib import Memory
memory = Memory(os.environ["STORE"], verbose=0)
@memory.cache
def a(path):
    mark("a")
    return [helper(row) for row in open(path)]
@memory.cache
def b(rows):
    mark("b")
    return sorted(rows)
@memory.cache
def c(rows):
    mark("c")
    return len(rows[0])
c(b(a("data.csv")))
"""
)
DVC_STEP = (
    MARK
    + """
import json
mark("{name}")
{body}
"""
)
DVC = {
    "helper.py": HELPER,
    "a.py": DVC_STEP.format(
        name="a", body='from helper import helper\njson.dump([helper(r) for r in open("data.csv")], open("a.json", "w"))'
    ),
    "b.py": DVC_STEP.format(name="b", body='json.dump(sorted(json.load(open("a.json"))), open("b.json", "w"))'),
    "c.py": DVC_STEP.format(name="c", body='json.dump(len(json.load(open("b.json"))[0]), open("c.json", "w"))'),
    "dvc.yaml": """
stages:
  a: {cmd: python a.py, deps: [a.py, helper.py, data.csv], outs: [a.json]}
  b: {cmd: python b.py, deps: [b.py, a.json], outs: [b.json]}
  c: {cmd: python c.py, deps: [c.py, b.json], outs: [c.json]}
""",
}
METAFLOW = (
    MARK
    + HELPER
    + """
from metaflow import FlowSpec, checkpoint, current, step
class Example(FlowSpec):
    @step
    def start(self):
        self.next(self.a)
    @step
    def a(self):
        mark("a")
        self.rows = [helper(row) for row in open("data.csv")]
        self.next(self.b)
    @checkpoint(load_policy="eager")
    @step
    def b(self):
        mark("b, from its checkpoint" if current.checkpoint.is_loaded else "b, from its beginning")
        place = os.path.join(current.checkpoint.directory, "half")
        with open(place, "w") as file:
            file.write("half")
        current.checkpoint.save()
        if os.environ.get("DIES") == "b":
            os.kill(os.getpid(), 9)
        self.rows = sorted(self.rows)
        self.next(self.c)
    @step
    def c(self):
        mark("c")
        self.length = len(self.rows[0])
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    Example()
"""
)
PREFECT = (
    MARK
    + HELPER
    + """
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
kept = dict(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
@task(**kept)
def a(path):
    mark("a")
    return [helper(row) for row in open(path)]
@task(**kept)
def b(rows):
    mark("b")
    return sorted(rows)
@task(**kept)
def c(rows):
    mark("c")
    return len(rows[0])
@flow
def example():
    c(b(a("data.csv")))
if __name__ == "__main__":
    example()
"""
)

#: By row of the table: what is changed in the files of the example, before the second run.
COMMENT = ('mark("a")\n', 'mark("a")  # a comment\n')
CHANGE = ("line.strip()", "line.strip() + '!'")
ROWS = (
    "nothing",
    "a comment in a",
    "the helper of a",
    "the input of a",
    "the machine, after the end",
    "killed in b",
    "killed in b, with its machine",
)
RIGHT = ("nothing", "nothing", "a b c", "a b c", "nothing", "b c", "b c")


class Tool:
    """One of the tools, with its example.

    Args:
        name: Its own.
        package: What is installed, beside Python.
        files: Of the example.
        variables: Of its process, given the machine and the drive.
        command: Runs the example in the machine's folder.
        again: The same after a kill, where that is another.
    """

    def __init__(
        self,
        name: str,
        packages: tuple[str, ...],
        files: Mapping[str, str],
        *,
        variables: Callable[[Path, Path], Mapping[str, str]] = lambda machine, drive: {"STORE": str(drive)},
        before: str = "",
        command: str = "python example.py",
        again: str = "",
        after: str = "",
        fresh: str = "",
        note: str,
    ) -> None:
        self.name, self.packages, self.files, self.variables = name, packages, files, variables
        self.before, self.command, self.again, self.after, self.fresh, self.note = (
            before,
            command,
            again or command,
            after,
            fresh,
            note,
        )

    def version(self, python: Path) -> str:
        if not self.packages:
            return "this version"
        code = f"import importlib.metadata as m; print(', '.join(p + ' ' + m.version(p) for p in {self.packages!r}))"
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


TOOLS = (
    Tool("Holdfast", (), {"example.py": HOLDFAST}, note="`keep.step`; what it refuses is then made by `again()`"),
    Tool("joblib.Memory", ("joblib",), {"example.py": JOBLIB}, note="its location is on the drive"),
    Tool(
        "DVC",
        ("dvc",),
        DVC,
        before="git init -q && dvc init -q && dvc remote add -q -d drive $STORE/dvc && git add -A && git commit -qm begun && "
        "git init -q --bare $STORE/git && git push -q $STORE/git HEAD:main",
        command="dvc repro -q",
        after="git add -A && git commit -qm ran; git push -q $STORE/git HEAD:main && dvc push -q",
        fresh="git clone -q -b main $STORE/git . && (dvc pull -q || true)",
        note="`dvc repro`, then git and `dvc push`; a new machine clones and pulls. The helper is named as a dependency",
    ),
    Tool(
        "Metaflow",
        ("metaflow", "metaflow-checkpoint"),
        {"example.py": METAFLOW},
        variables=lambda machine, drive: {
            "STORE": str(drive),
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(drive),
            "METAFLOW_DEFAULT_DATASTORE": "local",
            "METAFLOW_USER": "someone",
            "METAFLOW_HOME": str(machine / ".metaflow-home"),
        },
        command="python example.py --quiet run",
        again="python example.py --quiet resume",
        note="`run`; after a kill or on a new machine `resume`. `@checkpoint` on b, with its datastore on the drive",
    ),
    Tool(
        "Prefect",
        ("prefect",),
        {"example.py": PREFECT},
        variables=lambda machine, drive: {
            "STORE": str(drive),
            "PREFECT_LOCAL_STORAGE_PATH": str(drive),
            "PREFECT_HOME": str(machine / ".prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
            "PREFECT_LOGGING_LEVEL": "ERROR",
        },
        note="`persist_result`, `cache_policy=INPUTS + TASK_SOURCE`, its results on the drive",
    ),
)


class Machine:
    """The folder of a machine, the drive, and the log of what was computed."""

    def __init__(self, folder: Path, tool: Tool, python: Path) -> None:
        self._tool, self._python = tool, python
        self.root, self.drive, self._log = folder / "machine", folder / "drive", folder / "log"
        shutil.rmtree(folder, ignore_errors=True)
        self.drive.mkdir(parents=True)
        self.furnish()

    def furnish(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir()
        for name, text in {**self._tool.files, "data.csv": "rows\nof\nit\n"}.items():
            (self.root / name).write_text(text)

    def lose(self) -> None:
        """The disk is gone; what was in git, or is written down, is there again."""
        shutil.rmtree(self.root)
        self.root.mkdir()
        if self._tool.fresh:
            self.shell(self._tool.fresh, must=True)
        else:
            self.furnish()

    def shell(self, command: str, *, must: bool = False, dies: str = "") -> str:
        if not command:
            return ""
        self._log.write_text("")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "METAFLOW", "PREFECT"))}
        who = {
            f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "someone"), ("EMAIL", "someone@example.com"))
        }
        path = f"{self._python.parent}{os.pathsep}{os.environ['PATH']}"
        ours = {"PATH": path, "LOG": str(self._log), "DIES": dies, "DO_NOT_TRACK": "1", "DVC_NO_ANALYTICS": "1", **who}
        ours |= self._tool.variables(self.root, self.drive)
        if not self._tool.packages:
            ours["PYTHONPATH"] = str(HERE.parent / "src")
        with tempfile.TemporaryFile("w+") as said:  # and no pipe: what a killed example leaves running holds one open
            started = subprocess.Popen(
                command,
                shell=True,
                cwd=self.root,
                env={**clean, **ours},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = started.wait(600)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)  # the machine is gone with all that ran on it
            said.seek(0)
            text = said.read()
        if must and code:
            raise SystemExit(f"{self._tool.name}: {command}\n{text}")
        return text

    def computed(self) -> str:
        return " ".join(self._log.read_text().split("\n")).strip() if self._log.exists() else ""

    def replace(self, old: str, new: str) -> None:
        for name in self._tool.files:
            place = self.root / name
            place.write_text(place.read_text().replace(old, new))


def measured(tool: Tool, folder: Path, python: Path) -> list[str]:
    """What is computed in the second run, by row."""
    found = []
    for row in ROWS:
        machine = Machine(folder, tool, python)
        machine.shell(tool.before, must=True)
        if row.startswith("killed"):
            machine.shell(tool.command, dies="b")
            if "machine" in row:
                machine.lose()
            machine.shell(tool.again, must=True)
        else:
            machine.shell(tool.command, must=True)
            first = machine.computed()
            machine.shell(tool.after, must=True)
            if row == "a comment in a":
                machine.replace(*COMMENT)
            elif row == "the helper of a":
                machine.replace(*CHANGE)
            elif row == "the input of a":
                (machine.root / "data.csv").write_text("other\nrows\n")
            elif row.startswith("the machine"):
                machine.lose()
            machine.shell(tool.again if row.startswith("the machine") else tool.command)
            assert first, tool.name
        found.append(machine.computed() or "nothing")
        print(f"{tool.name}, {row}: {found[-1]}", flush=True)
    return found


def environment_of(tool: Tool, folder: Path) -> Path:
    """A virtual environment with a tool; one that is there is used."""
    if not tool.packages:
        return Path(sys.executable)
    place = folder / tool.packages[0]
    if not (place / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", *tool.packages], check=True)
    return place / "bin" / "python"


def page(results: Mapping[str, list[str]], versions: Mapping[str, str]) -> str:
    names = list(results)
    lines = [
        "# Steps beside other tools",
        "",
        f"Made by `python benchmarks/steps.py --write` on {time.strftime('%Y-%m-%d', time.gmtime())}, Python {platform.python_version()}. Do not edit.",
        "",
        "Step a reads a file and uses a helper, b takes what a made, c what b made. All three run once; then one",
        "thing happens, and the example is run again. The table shows which steps are computed then.",
        "",
        "| what happened | it should be | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
        *(f"| {row} | {RIGHT[n]} | " + " | ".join(results[name][n] for name in names) + " |" for n, row in enumerate(ROWS)),
        "",
        "`refused` is Holdfast's line with the difference; the steps behind it are what `again()` then made. `nothing`",
        "in the row of the helper or the input is an old result that is taken for the new one.",
        "",
        "How each was used:",
        "",
        *(f"- **{tool.name}** ({versions[tool.name]}): {tool.note}." for tool in TOOLS if tool.name in results),
        "",
        "What the table does not show. joblib and Prefect keep what a function returns, not files; DVC's stages",
        "are commands, and what they depend on is named by hand; Metaflow's `run` computes everything by design,",
        "and goes on by `resume`. Prefect's and Metaflow's schedulers, servers and clouds were not tried.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write benchmarks/steps.md")
    parser.add_argument("--peers", type=Path, help="folder of the virtual environments; default a temporary one")
    parser.add_argument("--only", help="one tool, by its name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-steps-") as temporary:
        peers = given.peers or Path(temporary) / "peers"
        results, versions = {}, {}
        for tool in TOOLS:
            if given.only in (None, tool.name):
                python = environment_of(tool, peers)
                versions[tool.name] = tool.version(python)
                results[tool.name] = measured(tool, Path(temporary) / "work", python)
    text = page(results, versions)
    print(text)
    if given.write:
        (HERE / "steps.md").write_text(text)


if __name__ == "__main__":
    main()
