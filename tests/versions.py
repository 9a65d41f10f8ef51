"""Run the whole notebook on the oldest and the newest versions that it allows.

    python tests/versions.py [oldest] [newest]

Makes an environment of the Python that runs it (call it with python3.10, python3.13),
with each package of requirements.txt at its lower bound or as new as it may be, runs
the notebook in it, and prints with what. Standard library only; takes a few minutes.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def requirements(edge):
    """The lines of requirements.txt, or each package at its lower bound."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if edge == "newest":
        return lines
    bounds = [re.match(r"([a-z]+)>=([\d.]+)", line).groups() for line in lines]
    return [f"{name}=={version}.*" for name, version in bounds]


def pinned(python, wanted):
    """The first release of each wanted range: pip would take the last."""
    exact = []
    for line in wanted:
        name, version = line.split("==")
        minor = version.removesuffix(".*")
        told = run([python, "-m", "pip", "index", "versions", name], check=False)
        found = re.findall(rf"\b{re.escape(minor)}(?:\.\d+)*(?=[,\s])", told.stdout)
        first = min(found, key=lambda v: [int(n) for n in v.split(".")], default=None)
        exact.append(f"{name}=={first}" if first else line)
    return exact


def run(command, check=True, **how):
    done = subprocess.run(command, capture_output=True, text=True, **how)
    if check and done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr[-3000:]}")
    return done


def execute(edge):
    """Run the notebook on one edge and print the versions and the time it took."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        run([sys.executable, "-m", "venv", python.parent.parent])
        wanted = requirements(edge)
        if edge == "oldest":
            wanted = pinned(python, wanted)
        run([python, "-m", "pip", "install", "-q", *wanted])
        shutil.copytree(ROOT / "tests/data", Path(folder) / "tests/data")
        shutil.copy(ROOT / "cam_mnist.ipynb", folder)
        start = time.perf_counter()
        command = [python, "-m", "jupyter", "nbconvert", "--to", "notebook"]
        run(
            [*command, "--execute", "--output", "done.ipynb", "cam_mnist.ipynb"],
            cwd=folder,
        )
        seconds = time.perf_counter() - start
        done = (Path(folder) / "done.ipynb").read_text(encoding="utf-8")
        accuracy = re.search(r"test accuracy: ([\d.]+%)", done).group(1)
        warned = "no stderr" if '"name": "stderr"' not in done else "STDERR"
        names = "tensorflow|keras|numpy|matplotlib|jupyter|pillow|ipywidgets"
        listed = run([python, "-m", "pip", "list", "--format=freeze"]).stdout
        versions = re.findall(rf"(?m)^(?:{names})==.*$", listed)
        print(f"{edge}, Python {sys.version.split()[0]}: {', '.join(versions)}")
        print(f"  ran to the end in {seconds:.0f} s, {accuracy}, {warned}", flush=True)


if __name__ == "__main__":
    for edge in sys.argv[1:] or ("oldest", "newest"):
        execute(edge)
