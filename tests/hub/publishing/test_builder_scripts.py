"""A builder script from nothing to a release on the loopback Hub, and once more."""

import os
import subprocess
import sys

from tests.hub.clients import environment
from tests.hub.hub_data import TOKEN
from tests.support import ROOT


def test_a_family_is_built_and_published_and_nothing_is_done_twice(hub, home, tmp_path, repo):
    command = [sys.executable, ROOT / "builder_scripts/independent.py", "--out", tmp_path / "out", "--rows", "20"]
    command += ["--pipeline", "identity", "--publish", repo, "--quiet"]
    env = environment(hub, home, token=TOKEN) | {"PYTHONPATH": os.fspath(ROOT)}

    def build():
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done

    first = build()
    assert f"published as {repo} v1.0.0" in first.stdout
    assert first.stderr == ""
    remote = hub.repo(repo)
    local = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(remote.files()) == local | {".gitattributes"}
    assert "certificates/independent.json" in local
    before = list(remote.history)
    again = build()
    assert "complete already" in again.stdout
    assert f"published as {repo} v1.0.0" in again.stdout
    assert remote.history == before
