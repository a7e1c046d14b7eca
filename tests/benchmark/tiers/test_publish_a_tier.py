"""A tier is published with its reference results, by the command and by the card's script, and loaded from there."""

import csv
import shutil
import subprocess
import sys

import pytest
import yaml

from mmmi_hf.benchmark.tiers.publishing import supplement_of
from mmmi_hf.benchmark.tiers.tier import read_tier
from mmmi_hf.cli import main
from mmmi_hf.hub.publishing.publish import publish
from tests.benchmark.tiers.tiny import HEAD, placed
from tests.hub.clients import environment, run_alone
from tests.hub.hub_data import TOKEN, configuration
from tests.hub.loopback import LoopbackHub
from tests.support import ROOT, generate

LITE = f"{HEAD}    estimators: [cca, oracle-dv]\n".replace("name: tiny", "name: lite")
REPO = "org/mmmi-benchmark-lite"
SCRIPT = ROOT / "model_cards" / "benchmark" / "make.sh"
FILES = {"tiers/lite/tier.yaml", "tiers/lite/reference.csv"}

USE = """
import sys
from mmmi_hf import load_benchmark
from mmmi_hf.cli import main

bench = load_benchmark("lite", "org/mmmi-benchmark-lite", revision="v1.0.0")
answers = []
for problem in bench:
    train, validation, test = problem.rows()
    answers.append(problem.answer("mine", problem.truth + 0.25, problem.truth, problem.truth + 0.5))
bench.write(args[0] + "/mine.csv", answers)
sys.argv = ["mmmi-hf"]
try:
    main(["benchmark", "org/mmmi-benchmark-lite", "--revision", "v1.0.0", "--tier", "lite", "--out", args[0] + "/out",
          "--estimators", "oracle-dv", "--results", args[0] + "/mine.csv", "--quiet", "--no-plots", "--workers", "1"])
except SystemExit as ended:
    assert not ended.code
print_json([bench.source.revision, len(bench)])
"""


@pytest.fixture(scope="module")
def hub():
    with LoopbackHub(token=TOKEN) as running:
        yield running
        assert not running.unknown


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder as make.sh leaves it, and the tier in the place of `lite`."""
    folder = tmp_path_factory.mktemp("made")
    with placed(folder, LITE, "lite") as place:
        for name in read_tier("lite").configurations:
            generate(read_tier("lite").configuration(name), folder / "lite" / "data", certify=False)
        rows = [("config", "form", "a", "b", "estimator", "seed", "null", "value", "group")]
        rows += [(f"small-{mi}", "float", "x1", "y", "cca", 0, False, mi - 0.125, "numbers") for mi in (0.5, 1.5)]
        with (place / "reference.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        # Interpreters that the script starts find the tier too.
        (folder / "start").mkdir()
        (folder / "start" / "sitecustomize.py").write_text(
            "from pathlib import Path\nfrom mmmi_hf.benchmark.tiers import tier\n"
            f"tier._HERE = Path({str(place.parent)!r})\n"
        )
        yield folder


def surroundings(hub, made, home, **more):
    return environment(hub, home, PYTHONPATH=f"{made / 'start'}:{ROOT}", PYTHON=sys.executable, **more)


def script(hub, made, *arguments):
    env = surroundings(hub, made, made / "home", token=TOKEN)
    command = ["bash", str(SCRIPT), str(made), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_the_script_publishes_and_goes_on_where_it_was_killed(hub, made, tmp_path):
    dry = script(hub, made, "--publish", "org", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "make the repository, commit the above and tag it v1.0.0" in " ".join(dry.stdout.split())
    assert ("dataset", REPO) not in hub.store.repos
    assert not list(made.rglob("certificates/*.json"))

    hub.fault("POST", r"/tag/", "status", status=403)  # it ends between commit and tag
    cut = script(hub, made, "--publish", "org")
    assert cut.returncode != 0
    assert not hub.repo(REPO).tags
    done = script(hub, made, "--publish", "org", "lite")
    assert done.returncode == 0, done.stderr
    told = [seen.event for seen in hub.repo(REPO).history]
    assert told == ["create", "commit Release v1.0.0: small-0.5, small-1.5", "tag v1.0.0"]
    assert set(hub.repo(REPO).files()) >= FILES | {"certificates/small-0.5.json", "certificates/small-1.5.json"}
    assert hub.store.read("dataset", REPO, "tiers/lite/tier.yaml").decode() == LITE

    # From an empty cache.
    used = run_alone(USE, tmp_path, env=surroundings(hub, made, tmp_path / "empty"))
    assert used.value == [hub.repo(REPO).tags["v1.0.0"], 3]
    lines = {line.split()[0]: line.split() for line in used.out.splitlines() if line.strip()}
    assert lines["mine"][1] == "0.250"
    assert lines["cca"][-2].replace("−", "-") == "-0.125", "the reference"
    assert lines["oracle-dv"][1] != "–"


STORY = """
import contextlib, io
from pathlib import Path
from mmmi_hf.cli import main
from mmmi_hf.benchmark.tiers import tier as tiers
from mmmi_hf.hub import publish

data, other, repo = args
reference, description = (tiers._HERE / "lite" / name for name in ("reference.csv", "tier.yaml"))
told = []
def run(*more):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["publish", data, repo, "--tier", "lite", "--no-measure", "--quiet", *more])
        except SystemExit:
            pass
    told.append(" ".join((out.getvalue() + err.getvalue()).split()))
run()
run()
told.append(publish(other, repo, measure=False, progress=False).tag)
reference.write_text(reference.read_text().replace("1.375", "1.25"))
run()
run("--version", "1.2.0")
run()
description.write_text(description.read_text().replace("title:", f"repository: {repo}\\ntitle:", 1))
tiers.read_tier.cache_clear()
from mmmi_hf import load_benchmark
told.append(load_benchmark("lite").source.revision)
run()
print_json(told)
"""


def test_a_version_is_one_release_and_the_card_says_how_it_is_used(hub, made, tmp_path):
    repo = "org/story"
    shutil.copytree(made / "tiers", tmp_path / "tiers")
    start = tmp_path / "start"
    start.mkdir()
    start.joinpath("sitecustomize.py").write_text(
        (made / "start" / "sitecustomize.py").read_text().replace(str(made / "tiers"), str(tmp_path / "tiers"))
    )
    other = configuration("other", rows=20)
    generate(other, tmp_path / "other")
    env = environment(hub, tmp_path / "home", token=TOKEN, PYTHONPATH=f"{start}:{ROOT}")
    first, again, beside, changed, newer, there, found, named = run_alone(
        STORY, made / "lite" / "data", tmp_path / "other", repo, env=env
    ).value
    tags = hub.repo(repo).tags
    assert f'mmmi_hf.load_benchmark("lite", "{repo}", revision="v1.0.0")' in first
    assert again == f"{repo} v1.0.0 is there already; nothing had to be changed."
    assert beside == "v1.1.0"
    assert f"{repo} has version v1.0.0 already (another release)" in changed
    assert changed.endswith("give another, such as 1.2.0")
    assert 'revision="v1.2.0")' in newer
    assert there == f"{repo} v1.2.0 is there already; nothing had to be changed."
    assert named == there, "that the tier names its repository makes it no other"
    assert found == tags["v1.0.0"], "the tier's version, not the newest release"

    text = hub.store.read("dataset", repo, "README.md", "v1.0.0").decode()
    listed = {entry["config_name"] for entry in yaml.safe_load(text.split("---\n")[1])["configs"]}
    assert listed == {"small-0.5", "small-1.5", "ground_truth"}
    section, generated = text.split("---\n", 2)[2].split("<!-- mmmi_hf: generated from here on", 1)
    assert "# Benchmark `lite` 1.0.0: a tiny one" in section
    assert f'load_benchmark("lite", "{repo}", revision="v1.0.0")' in section
    assert "| `numbers` | Numbers | small-0.5, small-1.5 | x1:y | 3 |" in section
    assert "[Reference results](tiers/lite/reference.csv) of 1 estimator" in section
    assert "## Certificates" in generated
    # What is published without the tier leaves the section as it is; the tier once more replaces it.
    kept = hub.store.read("dataset", repo, "README.md", "v1.1.0").decode()
    assert section.strip() in kept
    assert "| `other` |" in kept
    newest = hub.store.read("dataset", repo, "README.md", "v1.2.0").decode()
    assert newest.count("# Benchmark `lite` 1.0.0") == 1
    assert f'load_benchmark("lite", "{repo}", revision="v1.2.0")' in newest
    assert "v1.0.0" not in newest


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["publish", *map(str, arguments)])
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_wrong_requests_are_refused_before_the_hub_is_asked(made, tmp_path, capsys):
    data = made / "lite" / "data"
    assert "a tier is published whole; leave it out" in refused(
        capsys, data, "o/n", "--tier", "lite", "--config", "small-0.5"
    )
    assert f"there is no folder {tmp_path}/no; give DIR/data after" in refused(
        capsys, tmp_path / "no", "o/n", "--tier", "lite"
    )
    assert "unknown tier 'light': did you mean lite?" in refused(capsys, data, "o/n", "--tier", "light")
    generate(read_tier("lite").configuration("small-0.5"), tmp_path / "part", certify=False)
    assert "has no configuration 'small-1.5', which the tier 'lite' needs" in refused(
        capsys, tmp_path / "part", "o/n", "--tier", "lite"
    )


def test_a_supplement_is_of_a_dataset(made, monkeypatch):
    monkeypatch.setattr("mmmi_hf.hub.publishing.publish.HF_HUB_OFFLINE", False)
    supplement = supplement_of(read_tier("lite"), made / "lite" / "data")
    assert set(supplement.files) == FILES
    with pytest.raises(ValueError, match="supplement belongs to dataset folders; fashion-mnist-2 is none"):
        publish("fashion-mnist-2", "o/n", supplement=supplement)


def test_a_tier_without_reference_results_says_so(made):
    place = made / "tiers" / "lite" / "reference.csv"
    kept = place.read_text()
    place.unlink()
    try:
        supplement = supplement_of(read_tier("lite"), made / "lite" / "data")
    finally:
        place.write_text(kept)
    assert set(supplement.files) == {"tiers/lite/tier.yaml"}
