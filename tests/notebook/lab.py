"""A real JupyterLab on 127.0.0.1, and a real browser that opens notebooks in it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
NEEDED = bool(os.environ.get("GRAPHFLOW_NEEDS_BROWSER"))
"""Set where the browser has to be there: then no test may pass by not finding it."""


def chromium() -> str:
    """The browser's path; without one the test is skipped, or fails where it has to be there."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    missing = [] if found else ["chromium (apt-get install chromium)"]
    for module in ("playwright", "jupyterlab", "anywidget"):
        try:
            __import__(module)
        except ImportError:
            missing.append(f"{module} (pip install '.[browser]')")
    if missing:
        told = f"no browser test without {', '.join(missing)}"
        pytest.fail(told) if NEEDED else pytest.skip(told)
    return str(found)


@contextmanager
def browser_page(**options: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page of a headless browser, and the errors that its console has shown."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_page(viewport={"width": 1300, "height": 1000}, **options)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(f"page: {error}"))
            page.on(
                "console",
                lambda m: errors.append(f"console: {m.text}") if m.type == "error" else None,
            )
            page.set_default_timeout(300_000)
            yield page, errors
        finally:
            browser.close()


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[tuple[str, str]]:
    """A server for notebooks of that folder: its address and token. It ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    home = folder / ".home"
    _write_settings(home / "config" / "lab" / "user-settings")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_TOKEN": token,
    }
    command = [
        *(
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ip=127.0.0.1",
        ),
        *(f"--ServerApp.root_dir={folder}",),
        *("--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False"),
    ]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            _wait_until_up(
                f"http://127.0.0.1:{port}/api/status?token={token}", server, folder / "lab.log"
            )
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _write_settings(folder: Path) -> None:
    """No questions about news, and widgets are saved with their notebooks."""
    settings = {
        "@jupyterlab/apputils-extension/notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
        "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
    }
    for name, values in settings.items():
        path = folder / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    def is_up() -> bool:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(address, timeout=10):
                return True
        except OSError:
            return False

    until(is_up, 300, because=lambda: log.read_text()[-3000:])


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{n}",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": cell,
            }
            for n, cell in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook))


def opened(page: Any, lab: tuple[str, str, Path], name: str) -> None:
    """Opens a notebook and waits for its kernel."""
    address, token, _ = lab
    page.goto(f"{address}/lab/tree/{name}?reset&token={token}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=300_000)
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=300_000)


def run_cell(page: Any, number: int) -> None:
    cell = page.locator(".jp-CodeCell").nth(number)
    for _ in range(5):  # the first keys may come before the notebook listens to its kernel
        cell.locator(".jp-InputArea-editor").click()
        page.keyboard.press("Shift+Enter")
        for _ in range(20):
            if cell.locator(".jp-InputPrompt").first.text_content() != "[ ]:":
                return
            page.wait_for_timeout(50)
    raise AssertionError("the cell does not run")
