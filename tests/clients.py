"""Run the notebook in the tools that people use, and print a line for each.

    python tests/clients.py [NOTEBOOK] [-p NAME VALUE ...]

Makes an environment of its own in a temporary folder, with the notebook's
packages and these tools: nbval, nbmake, papermill, jupytext, voila. `-p`
sets parameters for papermill; the others take the notebook as it is, so
this takes many minutes. nbval's strict comparison of outputs is for the
machine that stored them; lax runs the cells elsewhere. Standard library
only. Ends with 1 if a tool failed.
"""

import argparse
import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ["nbval", "nbmake", "papermill", "jupytext", "voila"]
failed = []


def say(name, good, words):
    """Print one line; remember a failure."""
    print(f"{name:26s} {'ok    ' if good else 'FAILED'} {words}", flush=True)
    if not good:
        failed.append(name)


def run(command, folder):
    """Run a command in a folder; return it finished, and its seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done, time.perf_counter() - start


def last_words(done):
    """The last line that says something, without colours."""
    told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + "\n" + done.stderr)
    lines = [line.strip(" =") for line in told.splitlines() if line.strip(" =")]
    return lines[-1][:100] if lines else "silent"


def try_tool(name, command, folder, judge=None):
    """Run a tool; judge(folder) returns what else must hold, or raises."""
    done, seconds = run(command, folder)
    words = f"{seconds:4.0f} s  {last_words(done)}"
    good = done.returncode == 0
    if good and judge:
        try:
            words = f"{seconds:4.0f} s  {judge(folder)}"
        except (AssertionError, OSError, KeyError) as error:
            good, words = False, f"{type(error).__name__}: {error}"
    say(name, good, words)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code(notebook):
    """The sources of the code cells."""
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in cells]


def executed(name, parameters):
    """Judge a notebook that papermill wrote."""

    def judge(folder):
        done = read(folder / name)
        errors = [
            output
            for cell in done["cells"]
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]
        assert not errors, f"{len(errors)} errors"
        injected = "\n".join(code(done))
        for parameter, value in parameters.items():
            assert f"{parameter} = {value}" in injected, f"{parameter} was not set"
        return f"ran to the end with {parameters or 'its own parameters'}"

    return judge


def same_cells(notebook):
    """Judge jupytext's way there and back: cells and tags as they were."""

    def judge(folder):
        back = read(folder / "back.ipynb")
        kinds = [(c["cell_type"], "".join(c["source"])) for c in notebook["cells"]]
        there = [(c["cell_type"], "".join(c["source"])) for c in back["cells"]]
        assert kinds == there, "cells differ"
        tags = [c["metadata"].get("tags") for c in notebook["cells"]]
        assert tags == [c["metadata"].get("tags") for c in back["cells"]], "tags"
        return f"{len(kinds)} cells came back as they were"

    return judge


def python_file(folder):
    path = folder / "script.py"
    assert path.exists(), f"no .py but {[p.name for p in folder.glob('script*')]}"
    compile(path.read_text(encoding="utf-8"), "script.py", "exec")
    return f"{path.name}, which compiles"


def slides(folder):
    page = (folder / "slides.slides.html").read_text(encoding="utf-8")
    count = page.count("<section>") // 2  # each slide stands in a section of its own
    assert count > 1, "one slide only"
    return f"about {count} slides"


def serve_voila(python, folder, name, wait=1800):
    """Ask voila for the page, which it gives when all cells have run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        python,
        "-m",
        "voila",
        name,
        "--no-browser",
        f"--port={port}",
    ]
    start, page = time.perf_counter(), ""
    with open(folder / "voila.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        while time.perf_counter() - start < wait and server.poll() is None:
            try:
                address = f"http://127.0.0.1:{port}/"
                with urllib.request.urlopen(address, timeout=wait) as answer:
                    page = answer.read().decode()
                break
            except OSError:
                time.sleep(0.5)
        server.terminate()
        server.wait(30)
    seconds = time.perf_counter() - start
    pictures = page.count("data:image/png") + page.count("<img")
    if not page:
        told = (folder / "voila.log").read_text()[-300:]
        say("voila", False, f"no page: {' '.join(told.split())}")
    else:
        good = "Traceback" not in page and pictures > 0
        say(
            "voila",
            good,
            f"{seconds:4.0f} s  a page of {len(page) // 1024} KiB",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebook", nargs="?", default=ROOT / "cam_mnist.ipynb")
    parser.add_argument("-p", nargs=2, action="append", default=[])
    parser.add_argument("--requirements", default=ROOT / "requirements.txt")
    parser.add_argument("--python", help="an environment that has all of it already")
    chosen = parser.parse_args()
    source = Path(chosen.notebook).resolve()
    parameters = dict(chosen.p)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        folder.mkdir()
        shutil.copy(source, folder / "it.ipynb")
        data = source.parent / "tests" / "data"
        if data.exists():
            shutil.copytree(data, folder / "tests" / "data")
        python = chosen.python
        if not python:
            run([sys.executable, "-m", "venv", Path(place) / "venv"], place)
            scripts = "Scripts" if sys.platform == "win32" else "bin"
            python = Path(place) / "venv" / scripts / "python"
            install = [python, "-m", "pip", "install", "-q", *TOOLS]
            done, seconds = run([*install, "-r", chosen.requirements], place)
            say("pip install", done.returncode == 0, f"{seconds:4.0f} s")
            if done.returncode:
                sys.exit(done.stderr[-3000:])
        module = [python, "-m"]
        quiet = ["-q", "-p", "no:cacheprovider"]
        limit = ["--nbval-cell-timeout=3600"]
        pytest = [*module, "pytest", *quiet]
        try_tool(
            "nbval, lax",
            [*pytest, "--nbval-lax", *limit, "it.ipynb"],
            folder,
        )
        try_tool(
            "nbval, strict",
            [*pytest, "--nbval", *limit, "it.ipynb"],
            folder,
        )
        nbmake = [*pytest, "--nbmake", "--nbmake-timeout=3600", "it.ipynb"]
        try_tool("nbmake", nbmake, folder)
        mill = [*module, "papermill", "--no-progress-bar", "it.ipynb"]
        by_hand = [part for pair in parameters.items() for part in ("-p", *pair)]
        judge = executed("p.ipynb", parameters)
        try_tool("papermill -p", [*mill, "p.ipynb", *by_hand], folder, judge)
        text = "\n".join(f"{name}: {value}" for name, value in parameters.items())
        judge = executed("y.ipynb", parameters)
        try_tool(
            "papermill -y",
            [*mill, "y.ipynb", "-y", text or "{}"],
            folder,
            judge,
        )
        packed = base64.b64encode((text or "{}").encode()).decode()
        judge = executed("b.ipynb", parameters)
        try_tool("papermill -b", [*mill, "b.ipynb", "-b", packed], folder, judge)
        paired = [
            *module,
            "jupytext",
            "--quiet",
            "--to",
            "py:percent",
            "it.ipynb",
        ]
        there, _ = run([*paired, "-o", "there.py"], folder)
        back = [*module, "jupytext", "--quiet", "--to", "ipynb", "there.py"]
        judge = same_cells(read(source))
        try_tool(
            "jupytext round trip",
            [*back, "-o", "back.ipynb"],
            folder,
            judge,
        )
        convert = [*module, "nbconvert", "it.ipynb", "--to"]
        script = [*convert, "script", "--output", "script"]
        try_tool("nbconvert --to script", script, folder, python_file)
        show = [*convert, "slides", "--output", "slides"]
        try_tool("nbconvert --to slides", show, folder, slides)
        serve_voila(python, folder, "it.ipynb")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
