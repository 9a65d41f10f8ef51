"""A person in JupyterLab: run all cells, then use the explorer's controls."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from conftest import QUICK, ROOT, read_notebook, set_parameters

names = "chromium", "chromium-browser", "google-chrome"
chromium = next(filter(None, map(shutil.which, names)), None)
pytestmark = pytest.mark.skipif(not chromium, reason="no chromium on this machine")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that serves a quick copy of the notebook."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "tests" / "data", folder / "tests" / "data")
    notebook = read_notebook()
    set_parameters(notebook, QUICK)
    nbformat.write(notebook, folder / "cam_mnist.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    house = {f"JUPYTER{name}": str(tmp_path) for name in ("_CONFIG_DIR", "_DATA_DIR")}
    house |= {f"JUPYTERLAB_{n}_DIR": str(tmp_path) for n in ("SETTINGS", "WORKSPACES")}
    # Cells out of sight stay in the page, so that the test can find them.
    settings = tmp_path / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    whole = '{"windowingMode": "none"}'
    (settings / "tracker.jupyterlab-settings").write_text(whole)
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


def wait_until_idle(page, limit=400):
    """Return when no cell has been running or waiting for five seconds."""
    prompts = (
        "[...document.querySelectorAll('.jp-InputArea-prompt')].map(e => e.innerText)"
    )
    deadline, idle = time.time() + limit, 0
    while idle < 5:
        assert time.time() < deadline, "the notebook still runs"
        time.sleep(1)
        waiting = any("*" in prompt for prompt in page.evaluate(prompts))
        busy = waiting or page.locator("[data-status='busy']").count()
        idle = 0 if busy else idle + 1


def test_run_all_then_the_explorer_s_controls_change_the_picture(lab):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        page.get_by_text("| Idle").first.wait_for(timeout=90_000)  # the kernel is up
        time.sleep(2)
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        wait_until_idle(page)
        errors = "[data-mime-type='application/vnd.jupyter.error']"
        assert page.locator(errors).count() == 0
        controls = page.locator(".jp-CodeCell", has=page.locator(".widget-dropdown"))
        explorer = controls.last
        explorer.scroll_into_view_if_needed()
        picture = explorer.locator("img")
        picture.wait_for(timeout=30_000)

        def changes(act):
            before = picture.get_attribute("src")
            act()
            for _ in range(100):
                if picture.get_attribute("src") != before:
                    return True
                time.sleep(0.1)
            return False

        digits, class_index, rival = (
            explorer.locator("select").nth(i) for i in range(3)
        )
        assert changes(lambda: class_index.select_option("3"))
        assert changes(lambda: rival.select_option("5"))
        slider = explorer.locator(".noUi-handle")
        slider.focus()
        for _ in range(5):
            assert changes(lambda: slider.press("ArrowRight"))
        assert changes(lambda: digits.select_option("mistakes"))
        assert page.locator(errors).count() == 0
        browser.close()
