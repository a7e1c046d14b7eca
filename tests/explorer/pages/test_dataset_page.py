"""The panel Dataset in a browser: a folder, a repository with its revision, and what cannot be opened."""

import pytest

pytestmark = pytest.mark.browser
SLOW = 120_000


def test_a_folder(visit, dataset):
    visitor = visit("Dataset")
    visitor.write("dataset-name", str(dataset))
    visitor.press("dataset-open")
    visitor.wait_for("dataset-source", "2 configurations", SLOW)
    assert "I(x1;y)" in visitor.text("dataset-truth")
    assert "1.0000" in visitor.text("dataset-truth")
    assert "60 sampled rows were inverted" in visitor.text("dataset-certificate")
    assert visitor.at("dataset-pictures").locator("img").count() == 4
    plain = visitor.text("dataset-plain")
    assert f'load_dataset("{dataset}", "a")' in plain
    assert "Value('float64')" in plain
    visitor.choose("dataset-config", "b")
    visitor.wait_for("dataset-truth", "b 1.0.0", SLOW)
    assert "0.5000" in visitor.text("dataset-truth")
    assert visitor.problem("dataset-problem") == ""


def test_a_repository_with_its_revision(visit, published):
    visitor = visit("Dataset")
    visitor.write("dataset-name", published)
    visitor.write("dataset-revision", "v1.0.0")
    visitor.press("dataset-open")
    visitor.wait_for("dataset-source", f"of {published}, revision v1.0.0, commit", SLOW)
    assert 'revision="v1.0.0"' in visitor.text("dataset-plain")
    assert visitor.at("dataset-pictures").locator("img").count() == 4


@pytest.mark.parametrize(
    ("name", "revision", "said"),
    [
        ("", "", "folder or repository is empty"),
        ("no-such-folder", "", "there is no folder 'no-such-folder'"),
        ("https://example.org/data", "", "addresses are not opened here"),
        ("org/nothing-there", "", "org/nothing-there"),
        ("org/two", "v9.9.9", "v9.9.9"),
        ("/", "", "/ holds no dataset of ours"),
        ("x" * 400, "", "400 characters"),
    ],
)
def test_what_cannot_be_opened_is_said(visit, published, name, revision, said):
    visitor = visit("Dataset")
    visitor.write("dataset-name", name)
    visitor.write("dataset-revision", revision)
    visitor.press("dataset-open")
    visitor.wait_for("dataset-problem", said, SLOW)
    assert not visitor.page.locator(".toast-body").is_visible()
    assert visitor.text("dataset-truth") == ""


def test_a_folder_has_no_revision_and_a_damaged_one_is_said(visit, dataset, tmp_path):
    import shutil

    visitor = visit("Dataset")
    visitor.write("dataset-name", str(dataset))
    visitor.write("dataset-revision", "v1.0.0")
    visitor.press("dataset-open")
    visitor.wait_for("dataset-problem", "a folder has no revisions")
    damaged = shutil.copytree(dataset, tmp_path / "damaged")
    (damaged / "manifests" / "a.json").write_text("{]")
    visitor.write("dataset-name", str(damaged))
    visitor.write("dataset-revision", "")
    visitor.press("dataset-open")
    visitor.wait_for("dataset-problem", "a.json", SLOW)
    visitor.choose("dataset-config", "b")  # what is whole can be opened all the same
    visitor.wait_for("dataset-truth", "b 1.0.0", SLOW)
    assert visitor.problem("dataset-problem") == ""


def test_a_public_page_opens_what_it_offers_alone(visit, public, published, dataset):
    visitor = visit("Dataset", page=public)
    assert visitor.at("dataset-revision").count() == 0
    visitor.press("dataset-open")
    visitor.wait_for("dataset-source", f"of {published}, revision v1.0.0", SLOW)
    asked = {"data": [str(dataset), ""], "fn_index": _event(visitor, "dataset-open"), "session_hash": "me"}
    answer = visitor.page.request.post(f"{public.url}/gradio_api/queue/join", data=asked)
    assert answer.ok
    stream = visitor.page.request.get(f"{public.url}/gradio_api/queue/data?session_hash=me").text()
    assert "opens the datasets of its list alone" in stream
    assert "I(x1;y)" not in stream


def test_a_public_page_serves_and_takes_no_file_but_what_was_uploaded(visit, public, published):
    visitor = visit("Dataset", page=public)
    visitor.press("dataset-open")
    visitor.wait_for("dataset-source", f"of {published}, revision v1.0.0", SLOW)
    downloaded = next(path for path in public.folder.rglob("manifests/a.json"))
    for path in (downloaded, public.folder, "/etc/hostname"):
        assert visitor.page.request.get(f"{public.url}/gradio_api/file={path}").status == 403
    file = {"path": str(downloaded), "meta": {"_type": "gradio.FileData"}}
    asked = {"data": [file, "latents"], "fn_index": _event(visitor, "estimators-upload"), "session_hash": "he"}
    assert visitor.page.request.post(f"{public.url}/gradio_api/queue/join", data=asked).ok
    stream = visitor.page.request.get(f"{public.url}/gradio_api/queue/data?session_hash=he").text()
    assert '"success":false' in stream
    assert downloaded.is_file()


def _event(visitor, place):
    """The number of the event of a control."""
    return visitor.page.evaluate(
        """place => { const all = window.gradio_config; const control = all.components.find(
            each => each.props.elem_id === place).id;
            return all.dependencies.find(each => each.targets.some(target => target[0] === control)).id; }""",
        place,
    )
