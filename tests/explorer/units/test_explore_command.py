"""`mmmi-hf explore`: what it asks for, and one line where it cannot."""

import importlib.util

import pytest

from mmmi_hf import cli
from mmmi_hf.explorer import launching


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["explore", *arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(launching, "check_installed", lambda: None)


def test_without_the_extra_one_line_says_how_to_have_it(run, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err == "mmmi-hf: the explorer needs Gradio, which is not installed: pip install 'mmmi-hf[explorer]'\n"


def test_it_is_served_here(run, installed, monkeypatch):
    given = {}
    monkeypatch.setattr(launching, "launch", lambda **options: given.update(options) or options["ready"]("http://here"))
    code, out, _ = run("--port", "7861", "--browser")
    assert code == 0
    assert out == "The explorer is at http://here; Ctrl-C ends it.\n"
    assert (given["port"], given["open_browser"]) == (7861, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--dataset", "org/data"), "--dataset"),
        (("--wheel", "a.whl"), "--wheel"),
        (("--private",), "--private"),
        (("--dry-run",), "--dry-run"),
        (("--publish", "org/page", "--port", "1"), "--port or --browser"),
    ],
)
def test_options_of_the_other_use_are_refused(run, installed, arguments, said):
    code, _, err = run(*arguments)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_a_space_is_written_and_published(run, installed, monkeypatch):
    from mmmi_hf.explorer.space import folder as spaces
    from mmmi_hf.hub.publishing.release import Change, Published

    known, seen = spaces._version, {}
    monkeypatch.setattr(spaces, "_version", lambda name: "6.31.0" if name == "gradio" else known(name))

    def publish(folder, repo, **options):
        seen.update(options, files=sorted(path.name for path in folder.iterdir()), repo=repo)
        return Published(repo, "space", ("page",), "1.0.0", "v1.0.0", "c0ffee", (Change("app.py", "add", 10),))

    monkeypatch.setattr("mmmi_hf.hub.publishing.publish.publish", publish)
    code, out, _ = run("--publish", "me/page", "--dataset", "me/data", "--private")
    assert code == 0
    assert seen["files"] == ["README.md", "app.py", "requirements.txt"]
    assert seen["private"] is True
    assert "Published page as me/page v1.0.0" in out
    assert "spaces/me/page" in out
