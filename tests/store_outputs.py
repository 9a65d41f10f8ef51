"""Run the notebook and store its outputs in it: python tests/store_outputs.py

For whoever changes the notebook. It stores what one clean run of the code as it stands
has left, without the live widget (it needs a kernel; the picture beside it stays) and
writes the README's picture.
"""

import base64
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from conftest import NOTEBOOK, ROOT, code_cells, digest_of_code, run_notebook

with TemporaryDirectory() as folder:
    run = run_notebook(Path(folder), probe=None)
assert run.process.returncode == 0, run.process.stderr[-3000:]
notebook = run.notebook
notebook.metadata.pop("widgets", None)
notebook.metadata["language_info"] = {"name": "python"}
notebook.metadata["outputs_of_code"] = digest_of_code(notebook)
for cell in code_cells(notebook):
    cell.metadata.pop("execution", None)
    kept = [o for o in cell.outputs if "widget-view" not in str(o.get("data"))]
    cell.outputs = []
    for output in kept:
        last = cell.outputs[-1] if cell.outputs else {}
        if output.output_type == last.get("output_type") == "stream":
            last["text"] += output["text"]
        else:
            cell.outputs.append(output)
    for output in cell.outputs:
        if "nine test digits" in str(output.get("metadata")):
            picture = base64.b64decode(output.data["image/png"])
            (ROOT / ".github" / "grid.png").write_bytes(picture)
nbformat.write(notebook, NOTEBOOK)
print(
    f"stored {NOTEBOOK.name}: {run.seconds:.0f} s, {run.peak / 1e9:.2f} GB at the peak"
)
