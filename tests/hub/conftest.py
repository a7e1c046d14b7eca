"""One loopback Hub and one nursery of clients for all tests of this folder; each test has repositories of its own."""

import re

import pytest

from tests.hub.clients import Nursery, environment
from tests.hub.hub_data import PUBLISH, TOKEN, configuration, make
from tests.hub.loopback import LoopbackHub


@pytest.fixture(scope="session")
def running_hub():
    with LoopbackHub(token=TOKEN) as running:
        yield running


@pytest.fixture
def hub(running_hub):
    """The Hub; the test's faults are forgotten afterwards, and every request must have been to a known endpoint."""
    running_hub.requests.clear()
    running_hub.fired.clear()
    yield running_hub
    running_hub.faults.clear()
    assert not running_hub.unknown


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """HF_HOME of the clients."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def clients(running_hub, home, tmp_path_factory):
    """Clients that have mmmi_hf, and a token that may write."""
    nursery = Nursery(environment(running_hub, home, token=TOKEN), tmp_path_factory.mktemp("clients"))
    yield nursery
    nursery.close()


@pytest.fixture
def repo(request):
    """The name of a repository of the test's own."""
    return "org/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A dataset folder with the configurations a and b. Shared: copy it before changing anything."""
    return make(tmp_path_factory.mktemp("two") / "data", configuration("a"), configuration("b", seed=12, mi=0.5))


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    """A dataset folder with the configuration c. Shared: copy it before changing anything."""
    return make(tmp_path_factory.mktemp("three") / "data", configuration("c", seed=13, mi=0.25))


@pytest.fixture
def published(clients):
    """Publishes in a client of its own: (folder, repo, **options) → the result as a dict, or {"refused", "why"}."""

    def call(folder, repo, **options):
        return clients.run(PUBLISH, folder, repo, repr(options)).value

    return call
