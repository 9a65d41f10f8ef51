"""Run the notebook in the tools that people use: python tests/measure/clients.py

Makes an environment of its own with the notebook's packages and nbval, nbmake,
papermill, jupytext and voila; prints a line for each, and ends with 1 if one failed.
The parameters are short, set in a copy. Standard library only; ten minutes or so.
"""

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

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ["nbval", "nbmake", "papermill", "jupytext", "voila"]
SHORT = {"TRAINING_IMAGES": 2000, "EPOCHS": 1, "DELETION_DIGITS": 50, "CANVASES": 20}


def last_words(done):
    told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + "\n" + done.stderr)
    lines = [line.strip(" =") for line in told.splitlines() if line.strip(" =")]
    return lines[-1][:100] if lines else "silent"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def sources(path):
    return [(c["cell_type"], "".join(c["source"])) for c in read(path)["cells"]]


def shortened(path):
    """Write a copy of the notebook with short parameters."""
    notebook = read(ROOT / "cam_mnist.ipynb")
    (cell,) = (c for c in notebook["cells"] if c["id"] == "parameters")
    text = "".join(cell["source"])
    for name, value in SHORT.items():
        text = re.sub(rf"(?m)^{name} = [^#\n]*", f"{name} = {value}  ", text)
    cell["source"] = text
    path.write_text(json.dumps(notebook), encoding="utf-8")


def voila(python, folder):
    """Ask voila for the page, which it gives when all cells have run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "voila", "it.ipynb", "--no-browser", f"--port={port}"]
    with open(folder / "voila.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        page = ""
        while not page and server.poll() is None:
            try:
                address = f"http://127.0.0.1:{port}/"
                with urllib.request.urlopen(address, timeout=1800) as answer:
                    page = answer.read().decode()
            except OSError:
                time.sleep(0.5)
        server.terminate()
        server.wait(30)
    return bool(page) and "Traceback" not in page and "<img" in page


def main():
    failed = False
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        shutil.copytree(ROOT / "tests/data", folder / "tests/data")
        shortened(folder / "it.ipynb")
        subprocess.run([sys.executable, "-m", "venv", f"{place}/venv"], check=True)
        python = f"{place}/venv/bin/python"
        install = [python, "-m", "pip", "install", "-q", *TOOLS]
        subprocess.run([*install, "-r", ROOT / "requirements.txt"], check=True)

        def try_tool(name, command, holds=lambda: True):
            nonlocal failed
            start = time.perf_counter()
            done = subprocess.run(
                [python, "-m", *command.split()],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            good = done.returncode == 0 and holds()
            failed = failed or not good
            seconds = time.perf_counter() - start
            state = "ok    " if good else "FAILED"
            print(f"{name:20} {state} {seconds:4.0f} s  {last_words(done)}", flush=True)

        limit = "--nbval-cell-timeout=3600 -q -p no:cacheprovider it.ipynb"
        try_tool("nbval, lax", f"pytest --nbval-lax {limit}")
        try_tool("nbmake", "pytest --nbmake --nbmake-timeout=3600 -q it.ipynb")
        try_tool(
            "papermill -p",
            "papermill --no-progress-bar it.ipynb out.ipynb -p CANVASES 7",
            lambda: any("CANVASES = 7" in s for _, s in sources(folder / "out.ipynb")),
        )
        try_tool("jupytext there", "jupytext --quiet --to py:percent it.ipynb -o it.py")
        try_tool(
            "jupytext and back",
            "jupytext --quiet --to ipynb it.py -o back.ipynb",
            lambda: sources(folder / "back.ipynb") == sources(folder / "it.ipynb"),
        )
        try_tool(
            "nbconvert to script",
            "nbconvert it.ipynb --to script --output script",
            lambda: bool(compile((folder / "script.py").read_text(), "it", "exec")),
        )
        good = voila(python, folder)
        print(f"{'voila':20} {'ok' if good else 'FAILED'}")
    sys.exit(failed or not good)


if __name__ == "__main__":
    main()
