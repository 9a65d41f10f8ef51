"""Run the whole notebook on other versions: python tests/measure/versions.py [EDGE …]

    oldest   each package of requirements.txt at its lower bound
    newest   each as new as it may be
    colab    TensorFlow 2.20 and IPython 7.34, as on Google Colab
    clients  short, in nbval, nbmake, papermill, jupytext, nbconvert and voila

Makes an environment of the Python that runs it (call it with python3.10, python3.13),
runs the notebook in it, and prints with what. Standard library only; some minutes each.
"""

import contextlib
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
COLAB = ["tensorflow==2.20.*", "ipython==7.34.*", "ipykernel==6.17.*", "nbconvert"]
SHORT = {"TRAINING_IMAGES": 2000, "EPOCHS": 1, "DELETION_DIGITS": 50, "CANVASES": 20}
NBCONVERT = "jupyter nbconvert --to notebook --execute --output done.ipynb it.ipynb"
CLIENTS = [
    "pytest --nbval-lax --nbval-cell-timeout=3600 -q it.ipynb",
    "pytest --nbmake --nbmake-timeout=3600 -q it.ipynb",
    "papermill --no-progress-bar it.ipynb out.ipynb -p CANVASES 7",
    "jupytext --quiet --to py:percent it.ipynb -o it.py",
    "jupytext --quiet --to ipynb it.py -o back.ipynb",
    "nbconvert it.ipynb --to script --output script",
    "compileall script.py",
]


def run(command, folder="."):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr[-3000:]}")
    return done.stdout


def wanted(edge, python):
    """What pip is to install."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if edge == "colab":
        return [*COLAB, *(x for x in lines if x.startswith(("numpy", "matplotlib")))]
    if edge == "clients":
        return [*lines, "nbval", "nbmake", "papermill", "jupytext", "voila"]
    return [first(python, line) for line in lines] if edge == "oldest" else lines


def first(python, line):
    """The first release of a package's lowest minor version: pip takes the last."""
    name, lowest = re.match(r"([a-z]+)>=([\d.]+)", line).groups()
    index = [python, "-m", "pip", "index", "versions", name]
    told = subprocess.run(index, capture_output=True, text=True).stdout
    found = re.findall(rf"\b{re.escape(lowest)}(?:\.\d+)*(?=[,\s])", told)
    lowest = min(found, key=lambda v: [int(n) for n in v.split(".")], default=lowest)
    return f"{name}=={lowest}"


def sources(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell.get("id", n): "".join(cell["source"]) for n, cell in enumerate(cells)}


def voila(python, folder):
    """The page that voila gives when all cells have run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "voila", "it.ipynb", "--no-browser", f"--port={port}"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=folder, **silent)
    page = ""
    while not page and server.poll() is None:
        time.sleep(0.5)
        with contextlib.suppress(OSError):  # not there yet
            address = f"http://127.0.0.1:{port}/"
            page = urllib.request.urlopen(address, timeout=1800).read().decode()
    server.terminate()
    return page


def in_clients(python, folder):
    """Run a short copy in other people's tools; stop at the first that fails."""
    text = (folder / "it.ipynb").read_text(encoding="utf-8")
    for name, value in SHORT.items():
        text = re.sub(rf'"{name} = [\d_]+ ', f'"{name} = {value} ', text)
    (folder / "it.ipynb").write_text(text, encoding="utf-8")
    for command in CLIENTS:
        run([python, "-m", *command.split()], folder)
        print("  well:", command, flush=True)
    there, back = (
        list(sources(folder / f"{n}.ipynb").values()) for n in ("it", "back")
    )
    assert there == back, "jupytext changes a cell"
    assert any("CANVASES = 7" in s for s in sources(folder / "out.ipynb").values())
    page = voila(python, folder)
    assert "<img" in page and "Traceback" not in page, page
    print("  well: voila", flush=True)


def execute(edge):
    """Run the notebook on one edge and print the versions and the time it took."""
    with tempfile.TemporaryDirectory() as place:
        folder, python = Path(place), Path(place) / "venv" / "bin" / "python"
        run([sys.executable, "-m", "venv", folder / "venv"])
        run([python, "-m", "pip", "install", "-q", *wanted(edge, python)])
        shutil.copytree(ROOT / "tests/data", folder / "tests/data")
        shutil.copy(ROOT / "cam_mnist.ipynb", folder / "it.ipynb")
        names = "tensorflow|keras|numpy|matplotlib|jupyter|pillow|ipython|ipykernel"
        listed = run([python, "-m", "pip", "list", "--format=freeze"])
        versions = re.findall(rf"(?m)^(?:{names})==.*$", listed)
        print(f"{edge}, Python {sys.version.split()[0]}: {', '.join(versions)}")
        if edge == "clients":
            return in_clients(python, folder)
        start = time.perf_counter()
        run([python, "-m", *NBCONVERT.split()], folder)
        seconds = time.perf_counter() - start
        done = (folder / "done.ipynb").read_text(encoding="utf-8")
        accuracy = re.search(r"test accuracy: ([\d.]+%)", done).group(1)
        warned = "STDERR" if '"name": "stderr"' in done else "no stderr"
        print(f"  ran to the end in {seconds:.0f} s, {accuracy}, {warned}", flush=True)


if __name__ == "__main__":
    for edge in sys.argv[1:] or ("oldest", "newest", "colab", "clients"):
        execute(edge)
