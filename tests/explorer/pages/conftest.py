"""A page, a browser, and visitors whose consoles and requests are watched."""

import contextlib
import os
import shutil
import subprocess

import pytest

from tests.explorer.pages.visits import Visit
from tests.explorer.server import COMMAND, PUBLIC, serving
from tests.hub.clients import environment
from tests.hub.hub_data import TOKEN, configuration, make
from tests.hub.loopback import LoopbackHub
from tests.support import ROOT

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="session")
def running_hub():
    with LoopbackHub(token=TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A dataset folder with the configurations a and b."""
    return make(tmp_path_factory.mktemp("two") / "data", configuration("a"), configuration("b", seed=12, mi=0.5))


@pytest.fixture(scope="session")
def settings(running_hub, tmp_path_factory):
    """The environment of the page: the loopback Hub is its only one."""
    return environment(running_hub, tmp_path_factory.mktemp("home"), token=TOKEN) | {"NO_PROXY": "127.0.0.1,localhost"}


@pytest.fixture(scope="session")
def published(dataset, settings):
    """The dataset folder as v1.0.0 of org/two on the loopback Hub."""
    command = ["mmmi-hf", "publish", str(dataset), "org/two", "--no-measure", "--quiet"]
    subprocess.run(command, env=settings, check=True, capture_output=True)
    return "org/two"


@pytest.fixture(scope="session")
def served(settings, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("page") / "temporary", COMMAND, settings) as page:
        yield page


@pytest.fixture(scope="session")
def public(settings, published, tmp_path_factory):
    """The page as a Space that offers one dataset."""
    folder = tmp_path_factory.mktemp("public") / "temporary"
    with serving(folder, PUBLIC, settings, f"{published}@v1.0.0") as page:
        yield page


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def axe():
    """The program of axe-core; `npm pack` fetches it once, for tests alone."""
    folder = ROOT / "build" / "axe"
    program = folder / "package" / "axe.min.js"
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True)
        subprocess.run(["tar", "xzf", *map(str, folder.glob("*.tgz"))], cwd=folder, check=True)
    return program.read_text()


@pytest.fixture
def visit(browser, served):
    """Opens the page (or another one) for a new visitor; nothing may be wrong in consoles, and nothing left over."""
    with contextlib.ExitStack() as stack:

        def new(tab="Design", page=served, **options):
            context = stack.enter_context(contextlib.closing(browser.new_context(**options)))
            return Visit(context, page).opened(tab)

        visits = []
        yield lambda *args, **kwargs: visits.append(new(*args, **kwargs)) or visits[-1]
        for each in visits:
            assert each.wrong == []
        assert served.temporary_files() == []


@pytest.fixture
def pictures():
    """A folder for screenshots that people look at; they stay."""
    folder = ROOT / "build" / "explorer"
    folder.mkdir(parents=True, exist_ok=True)
    return os.fspath(folder)
