"""Fields of a card's YAML are the same for readers of YAML 1.1 and of YAML 1.2."""

import dataclasses

import datasets
import pytest
import yaml

from mmmi_hf.common.yaml_files import dump
from tests.dataset.certificate.forgeries import SMALL
from tests.support import generate

TEXTS = ["1e3", "1E-3", "0o7", "0x1F", ".5", "1.", "+12", "-.inf", ".NaN", "~", "Null", "TRUE", "yes", "off", "1.0.0"]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_that_look_like_something_else(text):
    written = dump({"config_name": text, text: [text]})
    assert yaml.safe_load(written) == {"config_name": text, text: [text]}
    if text != "1.0.0":
        assert written == f"config_name: '{text}'\n'{text}':\n- '{text}'\n"


def test_other_texts_and_numbers_stay_bare():
    fields = {"name": "common-cause-1.0", "rows": 3, "share": 0.5, "default": True, "nothing": None}
    assert dump(fields) == "name: common-cause-1.0\nrows: 3\nshare: 0.5\ndefault: true\nnothing: null\n"


def test_a_configuration_whose_name_is_a_number(tmp_path):
    folder = generate(dataclasses.replace(SMALL, name="1e3"), tmp_path / "out", certify=False).folder
    card = (folder / "README.md").read_text()
    assert "config_name: '1e3'" in card
    assert "config_name: 1e3" not in card
    assert datasets.get_dataset_config_names(str(folder)) == ["1e3", "ground_truth"]
