"""`load_benchmark` of a published tier: by revision, refused where it is not there, and killed in the middle."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import mmmi_hf
from mmmi_hf.benchmark.tiers.tier import read_tier
from tests.benchmark.tiers.tiny import HEAD, placed
from tests.hub.clients import environment, run_alone
from tests.hub.hub_data import PUBLISH, TOKEN
from tests.hub.loopback import LoopbackHub
from tests.support import generate

TIER = f"{HEAD}    estimators: [cca, oracle-dv]\n"
REPO = "org/tiny"
DATA = r"/resolve/[^/]+/data/(.*\.parquet)$"

LOAD = """
from pathlib import Path
import mmmi_hf
from mmmi_hf.benchmark.tiers import tier as tiers

tiers._HERE = Path(args[0])
seen = []
for place, revision in eval(args[1]):
    try:
        bench = mmmi_hf.load_benchmark("tiny", place, revision=revision)
        tests = [problem.rows()[2] for problem in bench]
        seen.append([bench.source.revision, [[float(t.a.sum()), float(t.b.sum())] for t in tests]])
    except ValueError as error:
        seen.append(f"{type(error).__name__}: {error}")
print_json(seen)
"""


@pytest.fixture(scope="module")
def tier(tmp_path_factory):
    """The folder of a tier, and its data."""
    folder = tmp_path_factory.mktemp("hub")
    with placed(folder, TIER) as place:
        for name in read_tier("tiny").configurations:
            generate(read_tier("tiny").configuration(name), folder / "data", certify=False)
        yield place.parent, folder / "data"


@pytest.fixture(scope="module")
def hub(tier):
    """A Hub with the tier as v1.0.0, and as v2.0.0 with one configuration made anew under another seed."""
    with LoopbackHub(token=TOKEN) as running:
        home = tier[1].parent / "home"
        home.mkdir()
        program = f"from mmmi_hf.hub import publish\n{PUBLISH}"
        writing = environment(running, home, token=TOKEN)
        assert "refused" not in run_alone(program, tier[1], REPO, "{'version': '1.0.0'}", env=writing).value
        other = tier[1].parent / "other"
        generate(read_tier("tiny").configuration("small-1.5").replace(seed=3, version="2.0.0"), other, certify=False)
        assert "refused" not in run_alone(program, other, REPO, "{'version': '2.0.0'}", env=writing).value
        running.store.create("dataset", "org/empty")
        yield running
        assert not running.unknown


def loaded(hub, tier, home, *asked):
    return run_alone(LOAD, tier[0], repr(asked), env=environment(hub, home)).value


def sums(tier):
    """Of the test rows in the folder that was published."""
    problems = mmmi_hf.load_benchmark("tiny", tier[1])
    return [[float(np.sum(side)) for side in (rows.a, rows.b)] for rows in (each.rows()[2] for each in problems)]


def test_a_revision_gives_the_published_rows_and_what_is_not_there_is_refused_in_one_line(hub, tier, tmp_path):
    first, newest, gone, empty, main, nowhere, folder = loaded(
        hub,
        tier,
        tmp_path,
        (REPO, "v1.0.0"),
        (REPO, None),
        (REPO, "v7.0.0"),
        ("org/empty", None),
        ("org/empty", "main"),
        ("org/nowhere", None),
        (str(tier[1]), "v1.0.0"),
    )
    assert first == [hub.repo(REPO).tags["v1.0.0"], sums(tier)]
    assert newest == (
        "ValueError: org/tiny: 'small-1.5' has other rows: it is not that of tiny 1.0.0; give its data, or another "
        "revision"
    )
    assert gone.endswith("load org/tiny at v7.0.0: there is no such revision; see the tags of the repository")
    assert "org/empty has no release (tags vX.Y.Z); give a revision" in empty
    assert main == (
        "ValueError: org/empty at main holds no dataset of ours; give a repository that `mmmi-hf publish` wrote"
    )
    assert "load org/nowhere: not found on the Hub (404); check owner/name" in nowhere
    assert "revision must be None for a folder, got 'v1.0.0'" in folder
    assert not any("\n" in says for says in (newest, gone, empty, main, nowhere, folder))


def in_cache(home):
    """The data files that a client keeps whole: those that its snapshots name."""
    return {"/".join(path.parts[-2:]) for path in home.rglob("snapshots/*/data/*/*.parquet")}


def asked_for(hub):
    """The data files that clients asked for."""
    asked = (re.search(DATA, path) for method, path in hub.requests if method == "GET")
    return {match[1] for match in asked if match}


def test_a_download_that_was_killed_goes_on(hub, tier, tmp_path):
    """Killed by its third request for a data file, when the two before have arrived: these two are not sent again."""
    header = "import sys\nargs = sys.argv[1:]\nprint_json = print\n"
    command = [sys.executable, "-c", header + LOAD, str(tier[0]), repr([(REPO, "v1.0.0")])]
    started, found = threading.Event(), {}

    def strike():
        started.wait()
        deadline = time.monotonic() + 60
        while len(in_cache(tmp_path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(found["process"].pid, signal.SIGKILL)
        found["process"].wait()

    hub.requests.clear()
    hub.fired.clear()
    hub.fault("GET", DATA, "call", skip=2, function=strike)
    found["process"] = subprocess.Popen(command, env=environment(hub, tmp_path), stdout=subprocess.PIPE, text=True)
    started.set()
    printed, _ = found["process"].communicate(timeout=300)
    assert (found["process"].returncode, printed) == (-signal.SIGKILL, "")
    (struck,) = hub.fired
    arrived = in_cache(tmp_path)
    assert len(arrived) == 2
    assert asked_for(hub) == {*arrived, re.search(DATA, struck)[1]}
    hub.requests.clear()
    ((_, rows),) = loaded(hub, tier, tmp_path, (REPO, "v1.0.0"))
    assert rows == sums(tier)
    assert len(in_cache(tmp_path)) == 6
    assert asked_for(hub) == in_cache(tmp_path) - arrived, "what had arrived is not sent again, and all else is"
