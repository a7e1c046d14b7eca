"""The explorer as a Space: its folder, what is refused of one, and its release on the loopback Hub."""

import shutil

import pytest

from mmmi_hf.explorer.space import folder as spaces
from mmmi_hf.explorer.space.folder import write_space
from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.merging import split_card
from mmmi_hf.hub.publishing.space_content import SpaceContent, is_space

DOCKER = "---\ntitle: a\nsdk: docker\nsdk_version: 1\napp_file: app.py\nlicense: mit\n---\n"


@pytest.fixture(autouse=True)
def gradio_there(monkeypatch):
    """The version of Gradio is known, whether the extra is installed or not."""
    known = spaces._version
    monkeypatch.setattr(spaces, "_version", lambda name: "6.31.0" if name == "gradio" else known(name))


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / f"mmmi_hf-{spaces.metadata.version('mmmi-hf')}-py3-none-any.whl"
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    return path


@pytest.fixture
def space(tmp_path):
    return write_space(tmp_path / "space", "org/page", datasets=["org/data@v1.0.0"])


def test_a_folder_says_exactly_what_it_runs(space):
    fields, text = split_card((space / "README.md").read_text())
    assert fields["sdk"] == "gradio"
    assert fields["sdk_version"] == "6.31.0"
    assert fields["app_file"] == "app.py"
    assert fields["datasets"] == ["org/data"]
    assert len(fields["short_description"]) <= 60
    assert "org/data" in text
    lines = (space / "requirements.txt").read_text().splitlines()
    assert lines[0] == f"mmmi-hf=={spaces.metadata.version('mmmi-hf')}"
    assert "gradio==6.31.0" in lines
    assert all(line.count("==") == 1 and "+" not in line for line in lines)
    program = (space / "app.py").read_text()
    assert len(program.splitlines()) == 5
    called = {}
    stand_in = {"launch": lambda **given: called.update(given)}
    exec(program.replace("from mmmi_hf.explorer import launch", ""), stand_in)
    assert called == {"public": True, "datasets": ("org/data@v1.0.0",)}
    assert is_space(space)


def test_a_wheel_goes_with_it_while_no_index_has_the_package(tmp_path, wheel):
    made = write_space(tmp_path / "space", "org/page", wheel=wheel)
    first = (made / "requirements.txt").read_text().splitlines()[0]
    assert first.endswith(f"/spaces/org/page/resolve/main/{wheel.name}")
    assert [file.path for file in SpaceContent(made, "org/page").files] == ["app.py", wheel.name, "requirements.txt"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datasets": ["nothing"]}, "owner/name"),
        ({"wheel": "no.whl"}, "wheel must be a file mmmi_hf-"),
    ],
)
def test_what_a_space_is_not_made_of(tmp_path, change, said):
    with pytest.raises(ValueError, match=said):
        write_space(tmp_path / "space", "org/page", **change)


def test_a_folder_that_holds_something_is_left_alone(space):
    with pytest.raises(ValueError, match="must be empty"):
        write_space(space, "org/page")


def test_without_the_extra_its_version_is_not_known(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(
        spaces.metadata, "version", lambda name: (_ for _ in ()).throw(spaces.metadata.PackageNotFoundError(name))
    )
    with pytest.raises(ValueError, match=r"is not installed: pip install 'mmmi-hf\[explorer\]'"):
        write_space(tmp_path / "space", "org/page")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("README.md", None, "has no README.md"),
        ("README.md", "# nothing\n", "lacks title, sdk"),
        (
            "README.md",
            DOCKER,
            "sdk: gradio",
        ),
        ("app.py", "launch(", "no Python"),
        ("requirements.txt", "gradio>=6\n", "must state exact versions"),
    ],
)
def test_a_folder_that_a_space_cannot_use_is_refused(space, name, content, said):
    (space / name).unlink()
    if content is not None:
        (space / name).write_text(content)
    with pytest.raises(HubRequestError, match=said):
        SpaceContent(space, "org/page")


def test_it_is_released_as_datasets_are(hub, published, repo, tmp_path, wheel):
    first = write_space(tmp_path / "first", repo, wheel=wheel)
    planned = published(first, repo, dry_run=True)
    assert planned["dry_run"]
    done = published(first, repo)
    assert (done["kind"], done["tag"], done["created"]) == ("space", "v1.0.0", True)
    names = {"app.py", "requirements.txt", "README.md", wheel.name}
    assert {change["path"] for change in done["changes"]} == names
    tree = hub.repo(repo, "space").resolve("v1.0.0").tree
    assert set(tree) >= names
    assert published(first, repo)["changes"] == []  # nothing had to be done
    hub.store.repo("space", repo)
    second = write_space(tmp_path / "second", repo, datasets=["org/data"])
    again = published(second, repo)
    assert again["tag"] == "v1.1.0"
    assert {(change["path"], change["action"]) for change in again["changes"]} >= {(wheel.name, "delete")}


def test_one_that_was_killed_before_its_tag_is_completed(hub, published, repo, space, tmp_path):
    from tests.hub.loopback import Fault

    here = shutil.copytree(space, tmp_path / "here")
    hub.faults.append(Fault("POST", r".*/tag/.*", "lost"))
    done = published(here, repo)
    assert done["tag"] == "v1.0.0"
    assert published(here, repo)["changes"] == []


def test_configurations_and_cards_are_of_others(published, repo, space):
    refused = published(space, repo, configs=["a"])
    assert "belong to datasets and pipelines" in refused["why"]
