"""`mmmi-hf publish`: what is printed, JSON, and one line for every wrong request."""

import json

import pytest

from mmmi_hf import cli
from mmmi_hf.hub.publishing.release import Change, Published


@pytest.fixture
def run(capsys, monkeypatch):
    given = {}

    def call(result, *arguments):
        def publish(folder, repo, **options):
            given.update(options, folder=folder, repo=repo)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr("mmmi_hf.hub.publishing.publish.publish", publish)
        with pytest.raises(SystemExit) as stopped:
            cli.main(["publish", *arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err, given

    return call


def published(**fields):
    given = {"changes": (Change("data/a/train.parquet", "add", 12345), Change("old.parquet", "delete", 0))} | fields
    return Published("org/data", "dataset", ("a",), "1.1.0", "v1.1.0", "c0ffee", **given)


def test_done(run):
    code, out, _, given = run(published(), "DIR", "org/data", "--config", "a", "--version", "1.1.0", "--private", "-q")
    assert code == 0
    assert "add     data/a/train.parquet  12,345" in out
    assert "Published a as org/data v1.1.0 (commit c0ffee)." in out
    assert 'load_dataset("org/data", "a", revision="v1.1.0")' in out
    expected = {"configs": ["a"], "version": "1.1.0", "private": True, "progress": False, "dry_run": False, "pr": False}
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dry_run": True, "created": True}, "This would make the repository, commit the above and tag it v1.1.0."),
        ({"pull_request": "http://pr/1"}, "Pull request: http://pr/1\nWhen it is merged, publish again"),
        ({"changes": (), "resumed": True}, "org/data v1.1.0 is completed"),
        ({"changes": ()}, "org/data v1.1.0 is there already"),
        ({"changes": (), "dry_run": True}, "nothing had to be changed (dry run)"),
    ],
)
def test_other_outcomes(run, fields, says):
    code, out, _, _ = run(published(**fields), "DIR", "org/data")
    assert code == 0
    assert says in out


def test_a_pipeline(run):
    result = Published("org/pipe", "model", ("pipe",), "1.0.0", "v1.0.0", "c0ffee", (Change("x", "add", 1),))
    _, out, _, _ = run(result, "DIR", "org/pipe")
    assert 'FlowMatchingPipeline.from_pretrained("org/pipe", revision="v1.0.0")' in out


def test_json(run):
    code, out, _, _ = run(published(), "DIR", "org/data", "--format", "json")
    assert code == 0
    assert json.loads(out)["changes"][0] == {"path": "data/a/train.parquet", "action": "add", "size": 12345}


def test_errors(run):
    from mmmi_hf.hub.client.errors import DamagedFilesError, HubUnavailableError, VersionExistsError

    code, _, err, _ = run(VersionExistsError("org/data has version v1.0.0 already"), "DIR", "org/data")
    assert (code, err) == (2, "mmmi-hf: org/data has version v1.0.0 already\n")
    code, _, err, _ = run(DamagedFilesError("DIR is not published: its rows are others"), "DIR", "org/data")
    assert (code, err) == (1, "mmmi-hf: DIR is not published: its rows are others\n")
    code, _, err, _ = run(HubUnavailableError("given up"), "DIR", "org/data")
    assert code == 1
    assert "HubUnavailableError: given up" in err
