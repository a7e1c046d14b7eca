"""Faults of the Hub and of the network, kills, and publishers at the same time.

What is asserted throughout: whatever happens, every state that anybody could have seen held exactly the release before
or exactly the full one, and the tag points at the full one.
"""

import json
import random
import threading
import time

import pytest

from tests.hub.clients import kill
from tests.hub.hub_data import PUBLISH, configuration, make


@pytest.fixture
def fresh(hub, two, three):
    """Makes the Hub forget the large files of the shared folders, so that they are uploaded."""
    for folder in (two, three):
        for manifest in (folder / "manifests").glob("*.json"):
            for entry in json.loads(manifest.read_text())["files"]:
                hub.store.large.pop(entry["sha256"], None)


def check_history(remote, before, version):
    """Every observable state since `before` is that state or the full release, and the tag points at the latter."""
    full = remote.resolve(f"v{version}").tree
    assert remote.resolve("main").tree == full
    seen = [remote.commits[observed.head].tree for observed in remote.history]
    assert all(tree in (before, full) for tree in seen[seen.index(before) :])
    assert all(remote.commits[o.tags[f"v{version}"]].tree == full for o in remote.history if f"v{version}" in o.tags)


FAULTS = {
    "409 on commit": ("POST", "/commit/", "status", {"status": 409}),
    "412 on commit": ("POST", "/commit/", "status", {"status": 412, "times": 3}),
    "429 on commit": ("POST", "/commit/", "status", {"status": 429, "headers": (("Retry-After", "1"),)}),
    "503 on commit": ("POST", "/commit/", "status", {"status": 503, "times": 3}),
    "reset on commit": ("POST", "/commit/", "reset", {}),
    "lost answer of commit": ("POST", "/commit/", "lost", {}),
    "503 on tag": ("POST", "/tag/", "status", {"status": 503}),
    "reset on tag": ("POST", "/tag/", "reset", {}),
    "lost answer of tag": ("POST", "/tag/", "lost", {}),
    "lost answer of create": ("POST", "/repos/create", "lost", {}),
    "500 on refs": ("GET", "/refs", "status", {"status": 500, "times": 2}),
    "reset on tree": ("GET", "/tree/", "reset", {}),
    "truncated upload": ("PUT", "/lfs/", "truncate", {}),
    "corrupt upload": ("PUT", "/lfs/", "corrupt", {}),
    "502 on upload": ("PUT", "/lfs/", "status", {"status": 502}),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.usefixtures("fresh")
def test_faults_pass(hub, published, two, repo, name):
    method, path, action, settings = FAULTS[name]
    hub.fault(method, path, action, **settings)
    started = time.monotonic()
    result = published(two, repo, version="1.0.0")
    assert len(hub.fired) == settings.get("times", 1)
    assert result["version"] == "1.0.0"
    remote = hub.repo(repo)
    check_history(remote, remote.commits[remote.history[0].head].tree, "1.0.0")
    assert len(remote.commits) == 2
    if "429" in name:
        assert time.monotonic() - started > 1


@pytest.mark.parametrize(("status", "requests"), [(503, 3), (403, 1), (404, 2)])
def test_lasting_failures_are_told_in_one_line(hub, clients, two, repo, status, requests):
    code = (("X-Error-Code", "RepoNotFound"),) if status == 404 else ()
    hub.fault("GET", f"{repo}$", "status", status=status, times=99, headers=code)
    program = """
        from mmmi_hf.hub.client.retries import Backoff
        try:
            publish(args[0], args[1], progress=False, backoff=Backoff(attempts=3, base=0.01))
        except (ValueError, OSError) as error:
            print_json([type(error).__name__, str(error)])
    """
    if status == 404:  # that means: make it
        hub.fault("POST", "repos/create", "status", status=403)
    kind, says = clients.run(program, two, repo).value
    assert kind == ("HubUnavailableError" if status == 503 else "HubRequestError")
    assert "\n" not in says
    assert {503: "given up after 3 attempts", 403: "the Hub refused it (403)", 404: "refused it (403)"}[status] in says
    assert len([fired for fired in hub.fired if fired.endswith(repo)]) == requests


def publish_killed_at(hub, clients, folder, repo, request, version):
    """Publish, killed when its n-th request arrives (which is still carried out); whether it was alive then."""
    started = threading.Event()
    pids = []

    def strike():
        started.wait()
        kill(pids[0])

    hub.fault("*", repo, "call", skip=request, function=strike)
    pids.append(clients.start(PUBLISH, folder, repo, repr({"version": version})))
    started.set()
    outcome = clients.wait(pids[0])
    hub.faults.clear()
    return outcome.code == -9


def requests_of_a_publication(hub, published, two, three, repo):
    """How many requests it takes to add c to a and b."""
    published(two, f"{repo}-0")
    hub.requests.clear()
    published(three, f"{repo}-0")
    return len([path for _, path in hub.requests if repo in path])


def published_before_faults(hub, published, two, three, name, chance):
    """The tree of a first release, after which nothing of the second is on the Hub and four faults wait for it."""
    published(two, name)
    before = hub.repo(name).resolve("main").tree
    for entry in json.loads((three / "manifests/c.json").read_text())["files"]:
        hub.store.large.pop(entry["sha256"], None)
    hub.fired.clear()
    for _, (method, path, action, settings) in chance.sample(sorted(FAULTS.items()), 4):
        hub.fault(method, path, action, **settings)
    return before


def check_after_kill(hub, published, three, repo, before, version):
    """Run it again as people do, and look at all that could be seen."""
    again = published(three, repo, version=version)
    remote = hub.repo(repo)
    if "refused" in again:
        assert "exactly this release; nothing is left to do" in again["why"]
    assert len(remote.commits) == 3
    check_history(remote, before, "1.1.0")


@pytest.mark.parametrize("where", ["commit", "tag"])
def test_kills_between_upload_commit_and_tag(hub, clients, published, two, three, repo, where):
    published(two, repo)
    before = hub.repo(repo).resolve("main").tree
    pids, started = [], threading.Event()
    hub.fault("POST", f"{repo}/{where}/", "call", function=lambda: (started.wait(), kill(pids[0])))
    pids.append(clients.start(PUBLISH, three, repo, "{}"))
    started.set()
    assert clients.wait(pids[0]).code == -9
    if where == "commit":
        assert "v1.1.0" not in hub.repo(repo).tags
    check_after_kill(hub, published, three, repo, before, "auto")


def test_another_publisher_completes_the_tag_of_one_that_was_killed(
    hub, clients, published, two, three, repo, tmp_path
):
    published(two, repo)
    assert publish_killed_at_commit(hub, clients, three, repo)
    remote = hub.repo(repo)
    assert list(remote.tags) == ["v1.0.0"]
    other = make(tmp_path / "d", configuration("d", seed=14))
    assert published(other, repo)["version"] == "1.2.0"
    assert list(remote.tags) == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert remote.commits[remote.tags["v1.1.0"]].title == "Release v1.1.0: c"
    assert published(three, repo)["version"] == "1.1.0"


def publish_killed_at_commit(hub, clients, folder, repo):
    pids, started = [], threading.Event()
    hub.fault("POST", f"{repo}/commit/", "call", function=lambda: (started.wait(), kill(pids[0])))
    pids.append(clients.start(PUBLISH, folder, repo, "{}"))
    started.set()
    killed = clients.wait(pids[0]).code == -9
    hub.faults.clear()
    return killed


def test_a_tag_given_away_meanwhile(hub, published, two, three, repo):
    """Somebody tags by hand, between our commit and our tag: an automatic version counts on, others are refused."""
    published(two, repo)
    remote = hub.repo(repo)

    def take(name):
        return lambda: hub.store.tag(remote, "v1.0.0", name)

    hub.fault("POST", f"{repo}/tag/", "call", function=take("v1.1.0"))
    assert published(three, repo)["version"] == "1.2.0"
    assert remote.tags["v1.2.0"] == remote.branches["main"]
    hub.fault("POST", f"{repo}/tag/", "call", function=take("v3.0.0"))
    refused = published(three, repo, version="3.0.0")
    assert refused["refused"] == "VersionExistsError"
    assert "somebody gave the tag v3.0.0 to another commit" in refused["why"]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """A folder with eight configurations."""
    configs = [configuration(f"p{i}", seed=20 + i, rows=4) for i in range(8)]
    return make(tmp_path_factory.mktemp("eight") / "data", *configs)


@pytest.mark.parametrize("versions", ["auto", pytest.param("explicit", marks=pytest.mark.slow)])
def test_eight_publishers_at_the_same_time(hub, clients, eight, two, published, repo, versions):
    if versions == "explicit":
        published(two, repo)
    wanted = [{"configs": [f"p{i}"], "version": "auto" if versions == "auto" else f"{i + 2}.0.0"} for i in range(8)]
    pids = [clients.start(PUBLISH, eight, repo, repr(options)) for options in wanted]
    results = [clients.wait(pid).value for pid in pids]
    remote = hub.repo(repo)
    manifests = {path for path in remote.files() if path.startswith("manifests/p")}
    assert manifests == {f"manifests/p{i}.json" for i in range(8)}
    given = [result["version"] for result in results]
    assert len(set(given)) == 8
    if versions == "auto":
        assert set(given) == {f"1.{i}.0" for i in range(8)}
    else:
        assert given == [options["version"] for options in wanted]
    for options, result in zip(wanted, results, strict=True):
        tree = remote.resolve(f"v{result['version']}").tree
        assert f"manifests/{options['configs'][0]}.json" in tree
        assert remote.tags[f"v{result['version']}"] == result["commit"]
    card = hub.store.read("dataset", repo, "README.md").decode()
    assert all(f"- config_name: p{i}\n" in card for i in range(8))
    # No state that was ever visible lost a configuration of an earlier one.
    counts = [len([p for p in remote.commits[seen.head].tree if p.startswith("manifests/")]) for seen in remote.history]
    assert counts == sorted(counts)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
def test_a_kill_at_every_request(hub, clients, published, two, three, repo):
    count = requests_of_a_publication(hub, published, two, three, repo)
    killed = 0
    for request in range(count):
        name = f"{repo}-{request + 1}"
        published(two, name)
        before = hub.repo(name).resolve("main").tree
        killed += publish_killed_at(hub, clients, three, name, request, "1.1.0" if request % 2 else "auto")
        check_after_kill(hub, published, three, name, before, "1.1.0" if request % 2 else "auto")
    print(f"\n{killed} publications of {count} were killed, one at each request; all were completed by a second run")
    assert killed >= count - 1


@pytest.mark.slow
def test_kills_at_twenty_random_moments_with_faults(hub, clients, published, two, three, repo):
    """Done-when 2 of the issue: random kills, every kind of fault on top, until each publication is complete."""
    chance = random.Random(5)
    killed, faults, runs = 0, 0, 0
    for number in range(20):
        name = f"{repo}-{number}"
        before = published_before_faults(hub, published, two, three, name, chance)
        pid = clients.start(PUBLISH, three, name, "{'version': '1.1.0'}")
        time.sleep(chance.uniform(0.05, 2.5))
        kill(pid)
        killed += clients.wait(pid).code == -9
        faults += len(hub.fired)
        check_after_kill(hub, published, three, name, before, "1.1.0")
        hub.faults.clear()
        runs += 1
    print(
        f"\n{runs} publications, {killed} killed, {faults} faults met before the kill; all complete after a second run"
    )
