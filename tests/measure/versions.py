"""Run the whole notebook on other versions: python tests/measure/versions.py [EDGE …]

    oldest   each package of requirements.txt at its lower bound
    newest   each as new as it may be
    colab    TensorFlow 2.20 and IPython 7.34, as on Google Colab

Makes an environment of the Python that runs it (call it with python3.10, python3.13),
runs the notebook in it, and prints with what. Standard library only; some minutes each.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLAB = ["tensorflow==2.20.*", "ipython==7.34.*", "ipykernel==6.17.*", "nbconvert"]


def run(command, check=True, **how):
    done = subprocess.run(command, capture_output=True, text=True, **how)
    if check and done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr[-3000:]}")
    return done


def wanted(edge, python):
    """What pip is to install."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if edge == "colab":
        return [*COLAB, *(x for x in lines if x.startswith(("numpy", "matplotlib")))]
    return [first(python, line) for line in lines] if edge == "oldest" else lines


def first(python, line):
    """The first release of a package's lowest minor version: pip takes the last."""
    name, lowest = re.match(r"([a-z]+)>=([\d.]+)", line).groups()
    told = run([python, "-m", "pip", "index", "versions", name], check=False).stdout
    found = re.findall(rf"\b{re.escape(lowest)}(?:\.\d+)*(?=[,\s])", told)
    lowest = min(found, key=lambda v: [int(n) for n in v.split(".")], default=lowest)
    return f"{name}=={lowest}"


def execute(edge):
    """Run the notebook on one edge and print the versions and the time it took."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        run([sys.executable, "-m", "venv", python.parent.parent])
        run([python, "-m", "pip", "install", "-q", *wanted(edge, python)])
        shutil.copytree(ROOT / "tests/data", Path(folder) / "tests/data")
        shutil.copy(ROOT / "cam_mnist.ipynb", folder)
        start = time.perf_counter()
        command = [
            python,
            "-m",
            "jupyter",
            "nbconvert",
            "--to",
            "notebook",
            "--execute",
        ]
        run([*command, "--output", "done.ipynb", "cam_mnist.ipynb"], cwd=folder)
        seconds = time.perf_counter() - start
        done = (Path(folder) / "done.ipynb").read_text(encoding="utf-8")
        accuracy = re.search(r"test accuracy: ([\d.]+%)", done).group(1)
        warned = "STDERR" if '"name": "stderr"' in done else "no stderr"
        names = "tensorflow|keras|numpy|matplotlib|jupyter|pillow|ipython|ipykernel"
        listed = run([python, "-m", "pip", "list", "--format=freeze"]).stdout
        versions = re.findall(rf"(?m)^(?:{names})==.*$", listed)
        print(f"{edge}, Python {sys.version.split()[0]}: {', '.join(versions)}")
        print(f"  ran to the end in {seconds:.0f} s, {accuracy}, {warned}", flush=True)


if __name__ == "__main__":
    for edge in sys.argv[1:] or ("oldest", "newest", "colab"):
        execute(edge)
