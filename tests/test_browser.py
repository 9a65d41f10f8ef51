"""A person in JupyterLab: run all cells, then use the explorer's controls."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from conftest import QUICK, ROOT, read_notebook

chromium = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not chromium, reason="no chromium on this machine")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves a quick copy of the notebook."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "tests" / "data", folder / "tests" / "data")
    notebook = read_notebook()
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    for name, value in QUICK.items():
        cell.source = re.sub(
            rf"(?m)^{name} = [^#\n]*", f"{name} = {value}  ", cell.source
        )
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    house = {f"JUPYTER{name}": str(tmp_path) for name in ("_CONFIG_DIR", "_DATA_DIR")}
    house |= {f"JUPYTERLAB_{n}_DIR": str(tmp_path) for n in ("SETTINGS", "WORKSPACES")}
    command = f"-m jupyterlab --no-browser --allow-root --ip=127.0.0.1 --port={port}"
    options = ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    server = subprocess.Popen(
        [sys.executable, *command.split(), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **house},
    )
    address = f"http://127.0.0.1:{port}/lab"
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            break
        except OSError:
            time.sleep(0.5)
    yield address + "/tree/cam_mnist.ipynb"
    server.terminate()
    server.wait(30)


def test_run_all_then_the_explorer_s_controls_change_picture_and_numbers(lab):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        alt = "img[alt^='predicted'][alt*='contrast']"
        explorer = page.locator(".jp-Cell", has=page.locator(".widget-dropdown")).last
        scroller = page.locator(".jp-WindowedPanel-outer").first
        deadline = time.time() + 400
        while not explorer.locator(alt).count() and time.time() < deadline:
            scroller.evaluate("e => e.scrollTo(0, e.scrollHeight)")
            time.sleep(1)
            for step in range(0, 6000, 600):
                if explorer.locator(alt).count():
                    break
                scroller.evaluate("(e, s) => e.scrollTo(0, e.scrollHeight - s)", step)
                time.sleep(0.3)
        picture = explorer.locator(alt).first
        errors = "[data-mime-type='application/vnd.jupyter.error']"
        assert page.locator(errors).count() == 0

        def seen():
            return picture.get_attribute("alt"), picture.get_attribute("src")

        def changed_from(before):
            for _ in range(100):
                if seen() != before:
                    return True
                time.sleep(0.1)
            return False

        before = seen()
        explorer.locator("select").nth(1).select_option("3")
        assert changed_from(before)
        assert "map of 3" in seen()[0]
        before = seen()
        explorer.locator("select").nth(0).select_option("mistakes")
        assert changed_from(before)
        before = seen()
        explorer.locator(
            ".jupyter-widgets.widget-readout, .widget-readout"
        ).first.click()
        page.keyboard.press("Control+A")
        page.keyboard.type("5")
        page.keyboard.press("Enter")
        assert changed_from(before)
        browser.close()
