"""Model cards: every number comes from a file, parts that are missing are said to be, stale cards are found."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from mmmi_hf.cli.cards import main
from mmmi_hf.flow.evaluation import model_card as cards
from mmmi_hf.flow.evaluation.model_card import card_of, model_card
from tests.flow.evaluation.card_data import EVALUATION, PARTS, PATH, RECIPE, TRAINING, accuracies


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    _write(place, TRAINING, EVALUATION)
    return place


def _write(folder, training, evaluation):
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "evaluation.json").write_text(json.dumps(evaluation))


def test_the_card_states_what_the_files_say(folder):
    text = model_card(folder)
    for wanted in (
        "# pictures",
        "| UNet2DModel behind a pixel-unshuffle of 2; widths 24, 40; 2 residual layers per block; attention at 4×4, "
        "the middle |",
        "3,876,543 (7.8 MB of float16 safetensors)",
        "σ = 0.03",
        "9 midpoint steps on a cosine grid, 18 network evaluations",
        "6,543 steps of 96 images (628,128 images, 10.5 epochs",
        "1 h 31 min, 1 process.",
        "bf16 autocast, no flips, seed 13",
        "torch 2.13.0, diffusers 0.42.1",
        "| class accuracy, with 95 % interval | 85.3 % (84.2–86.5) | 93.0 % (91.9–94.2) (test images) |",
        "| Fréchet distance to the test images | 1.234 | 0.025 (1,998 training images) |",
        "| 50.2 |",
        "| precision | 0.701 | 0.803 (training images) |",
        "81.1 % (80.0–82.3) | 87.1 % (86.0–88.3) (trained on 1,998 training images)",
        "It is not the FID",
        "3.2 % of the samples' pixel values lie outside [−1, 1] by more than half an 8-bit level;",
        "they range from -1.43 to 1.51",
        "| cat | 80.3 % (79.2–81.5) | 88.0 % (86.9–89.2) |",
        "| float32 | 128 | 2.2e-6 | 4.4e-6 | 0 | 16 | 123 (151) | 0.084, 0.71 |",
        "| float64 | 128 | 3.9e-13 | 7.8e-13 | 0 |",
        "17 sampled trajectories (12 Krylov iterations, float64)",
        "| 0 | 0.000 | 0.250 | 1.14 | 0.33 | 0.71 |",
        "strong sampled evidence",
        "It is not a proof",
        "| float32 | 9.6e-7 | 1.1e-6 | 0 |",
        "| 8 bits | – | – | 4 |",
        "mmmi-hf train model_cards/pictures/recipe.yaml --dataset data/pictures --out runs/pictures",
        "![Samples of every class](samples.png)",
        'from_pretrained("PATH_OR_REPOSITORY")',
        "7 min on 2 threads",
        "Classes: 0 cat, 1 dog.",
    ):
        assert wanted in text, wanted
    assert "Not measured" not in text
    assert "None" not in text


def test_what_looks_bad_is_said(folder):
    assert "far from real" not in model_card(folder)
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["parts"]["samples"]["results"]["accuracy"]["samples"] = accuracies(0.4)
    _write(folder, TRAINING | {"device": "cpu"}, evaluation)
    text = model_card(folder)
    assert "**They are far from real images**: a classifier recognises 40.0 % of them, and 93.0 % of real ones." in text
    assert "1 process on CPUs." in text
    _write(folder, TRAINING | {"device": "cuda"}, evaluation)
    assert "1 process on one GPU." in model_card(folder)
    _write(folder, TRAINING | {"device": "cuda", "device_name": "NVIDIA H100"}, evaluation)
    assert "1 process on one NVIDIA H100." in model_card(folder)
    _write(folder, TRAINING | {"device": "cuda", "device_name": "NVIDIA H100", "world_size": 4}, evaluation)
    assert "4 processes on GPUs (NVIDIA H100)." in model_card(folder)
    _write(folder, TRAINING | {"device": "cuda", "world_size": 4}, evaluation)
    assert "4 processes on GPUs." in model_card(folder)


def test_what_the_examples_are_and_what_does_not_hold_is_in_the_card(folder):
    (folder / "data.md").write_text("Cats of the neighbourhood.\n")
    (folder / "limits.md").write_text("- Dogs cannot be inverted.\n")
    text = model_card(folder)
    assert "## Training\n\nCats of the neighbourhood.\n\n" in text
    assert "its own latents.\n- Dogs cannot be inverted.\n- The inverse is" in text


def test_what_was_seen_in_the_sheet_is_in_the_card(folder):
    (folder / "seen.md").write_text("Cats look like cats.\n")
    text = model_card(folder)
    assert "for this picture only.\n\nCats look like cats.\n\n## Use" in text


def test_what_the_benchmarks_printed_is_in_the_card(folder):
    assert "## Speed" not in model_card(folder)
    (folder / "speed-b.txt").write_text("$ python second.py\nsecond\n")
    (folder / "speed-a.txt").write_text("$ python first.py\nfirst\n")
    (folder / "speed-0.txt").write_text("\n")
    text = model_card(folder)
    assert "```text\n$ python first.py\nfirst\n\n$ python second.py\nsecond\n```\n\n## Limits" in text
    assert "\n\n\n" not in text


def test_what_computed_a_part_and_another_classifier_are_told(folder):
    text = model_card(folder)
    assert "of a classifier of the same settings trained on the samples" in text
    assert "in float32: 7 min on 2 threads" in text
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["parts"]["classification_accuracy_score"]["settings"]["classifier"] = {"widths": [5, 6, 7], "epochs": 4}
    evaluation["parts"]["round_trip_float32"]["device"] = "NVIDIA H100"
    _write(folder, TRAINING, evaluation)
    text = model_card(folder)
    assert "real test images of another classifier (widths 5, 6, 7; 4 epochs) trained on the samples." in text
    assert "in float32: 7 min on one NVIDIA H100" in text
    assert "; seconds on one NVIDIA H100 and 2 threads." in text
    assert "by a small convolutional classifier (widths 8, 9, 10; 3 epochs) that was trained" in text


def test_earlier_trainings_are_told(folder):
    first = TRAINING | {"digest": "b" * 64, "steps": 1000, "images_seen": 96000, "seconds": 600.0}
    second = TRAINING | {"digest": "c" * 64, "images_seen": 200000}
    second["initial"] = {"pipeline": "runs/first/pipeline", "digest": "b" * 64, "training": first}
    initial = {"pipeline": "runs/second/pipeline", "digest": "c" * 64, "training": second}
    _write(folder, TRAINING | {"initial": initial}, EVALUATION)
    text = model_card(folder)
    assert f"It went on from the weights of `{'c' * 12}`: 6,543 steps of 96 images (200,000 images)" in text
    assert f"It went on from the weights of `{'b' * 12}`: 1,000 steps of 96 images (96,000 images) in 10 min" in text
    assert "All in all 924,128 images in 3 h 11 min." in text
    _write(folder, TRAINING | {"initial": initial | {"training": None}}, EVALUATION)
    text = model_card(folder)
    assert (
        "It went on from the weights of `runs/second/pipeline` (`cccccccccccc`), of whose training there is no" in text
    )
    assert "All in all" not in text
    assert "\n\n\n" not in text


def test_every_leg_whose_recipe_is_there_can_be_made_again(folder):
    legs = [RECIPE | {"seed": seed} for seed in (5, 6)]
    first = TRAINING | {"digest": "b" * 64, "recipe": TRAINING["recipe"] | {"seed": 5}}
    second = TRAINING | {"digest": "c" * 64, "recipe": TRAINING["recipe"] | {"seed": 6}}
    second["initial"] = {"pipeline": "runs/first/pipeline", "digest": "b" * 64, "training": first}
    initial = {"pipeline": "runs/second/pipeline", "digest": "c" * 64, "training": second}
    _write(folder, TRAINING | {"initial": initial}, EVALUATION)
    for number, recipe in enumerate(legs, 1):
        (folder / f"recipe-{number}.yaml").write_text(yaml.safe_dump(recipe))
    words = [
        f"mmmi-hf train model_cards/pictures/recipe{suffix}.yaml --dataset data/pictures --out runs/{out}\n"
        for suffix, out in (("-1", "first"), ("-2", "second"), ("", "pictures"))
    ]
    assert "".join(words) in model_card(folder)
    (folder / "recipe-2.yaml").write_text(yaml.safe_dump(legs[1] | {"seed": 7}))
    assert words[0] + words[2] in model_card(folder)
    _write(folder, TRAINING | {"initial": initial | {"training": None}}, EVALUATION)
    assert "recipe-" not in model_card(folder)


@pytest.fixture
def student(folder):
    """The folder of a student of `pictures`, whose card lies beside its teacher's."""
    place = folder.parent / "pictures-2"
    place.mkdir()
    recipe = {"teacher": "pictures", "nodes": [0, 2, 9], "trajectories": 4096, "journey_steps": 7}
    recipe |= {"segment_weights": [2, 1.5], "penalty": 3.0}
    common = {name: RECIPE[name] for name in ("batch_size", "learning_rate", "mixed_precision", "seed")}
    (place / "distillation.yaml").write_text(yaml.safe_dump(recipe | common))
    teacher = {"pipeline": "pictures", "digest": TRAINING["digest"]}
    record = {"recipe": recipe | common, "digest": "d" * 64, "teacher": teacher}
    record |= {"network_rows": 98765, "final_loss": 4.3e-5}
    scheduler = {"sigma_min": 0.03, "num_inference_steps": 2, "solver": "euler", "grid": [0.0, 0.123456, 1.0]} | PATH
    pipeline = EVALUATION["pipeline"] | {"digest": "d" * 64, "scheduler": scheduler}
    _write(place, TRAINING | record, EVALUATION | {"pipeline": pipeline})
    return place


def test_the_card_of_sounds(folder):
    recipe = {name: value for name, value in RECIPE.items() if name not in NOT_OF_SOUNDS}
    recipe |= {"dataset": "./data/notes", "signal_column": "signal", "rate": 8000, "length": 2048, "gain": 0.5}
    recipe |= {"half_range": 6.0, "bins": 128, "patch_size": 1, "companding": {"knee": 0.1, "scale": 1.5}}
    stated = recipe | {"block_out_channels": [24, 40], "attention": [False, True]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(stated))
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["pipeline"] |= {"latent_shape": [2048], "kind": "sound"}
    results = evaluation["parts"]["samples"]["results"]
    levels = {"samples": [-20.0, -40.0], "training_sounds": [-22.0, -43.0], "test_sounds": [-23.0, -44.0]}
    results["spectra"] = {"bands_to": [2000.0, 4000.0], "per_class": {"cat": levels}}
    results["sheets"]["spectra"] = "spectra.png"
    _write(folder, TRAINING | {"recipe": stated}, evaluation)
    text = model_card(folder)
    for wanted in (
        "2048 latents\nz ~ N(0, I) become sounds of one of",
        "Each is its wave form, over the spectrogram",
        "upwards to 4,000 Hz",
        "sounds = pipe(latents, class_labels=0).images  # (4, 2048), 8,000 samples a second, unclamped",
        "| UNet2DModel behind an orthonormal lapped transform, frames of 128 samples; widths 24, 40;",
        "attention at 8×64, the middle |",
        "| output | x_1 are frequencies u, compressed ones; those of the sound are 0.1 sinh(u / 1.5), one by one |",
        "6,543 steps of 96 sounds (628,128 sounds",
        "bf16 autocast, seed 13",
        "convolutional classifier of spectrograms",
        "(test sounds) |",
        "3.2 % of the samples' values lie outside ±6 by more than half a 16-bit level;",
        "differ from those of the test sounds by 3.5 to 3.5 dB (root mean square over bands), those of the training "
        "sounds by 1.0 to 1.0 dB.",
        "![Spectra of samples and of real sounds](spectra.png)",
        "a WAV file is for listening to",
        "classes of data/notes of 2,048 samples at 8,000 Hz and nothing else",
    ):
        assert wanted in text, wanted
    assert "image" not in text.partition("## Citation")[0].replace("images  # (4", "").replace("images_seen", "")
    assert "\n\n\n" not in text
    assert ModelCard(text).data.datasets is None
    assert "pipeline_tag" not in text
    del results["spectra"]
    _write(folder, TRAINING | {"recipe": stated}, evaluation)
    assert "mean levels of frequency bands" not in model_card(folder)
    results["spectra"] = {"bands_to": [4000.0], "per_class": {"cat": {key: [] for key in levels}}}
    _write(folder, TRAINING | {"recipe": stated}, evaluation)
    assert "mean levels of frequency bands" not in model_card(folder)


NOT_OF_SOUNDS = ("image_column", "image_size", "channels", "fit", "horizontal_flips")


def test_the_card_of_a_student_tells_of_its_teacher(student):
    text = model_card(student)
    for wanted in (
        "2 euler steps between t = 0, 0.123, 1, 2 network evaluations",
        f"| teacher | `pictures` (`{'a' * 12}`): this network makes its journey in fewer steps.",
        "pixel-unshuffle of 2; widths 24, 40",
        "6,543 steps of 96 of 4,096 stored trajectories of the teacher (nodes 0, 2, 9 of its grid), 7 of them on whole",
        "single segments, drawn in proportions 2 : 1.5, with a penalty of weight 3.0 on 1 + hλ_min below 0.25: 98,765",
        "98,765 evaluations of the network forth and back in",
        "The last mean loss was 4.3e-05.",
        "bf16 autocast, seed 13",
        "of owner/pictures at 16×16 pixels",
        "mmmi-hf distill model_cards/pictures-2/distillation.yaml --out runs/pictures-2",
    ):
        assert wanted in text
    assert "\n\n\n" not in text
    assert ModelCard(text).data.datasets == ["owner/pictures"]


def test_the_legs_of_a_distillation(student):
    training = json.loads((student / "training.json").read_text())
    stated = yaml.safe_load((student / "distillation.yaml").read_text())
    first = training | {"recipe": training["recipe"] | {"seed": 5, "nodes": [0, 4, 9]}, "digest": "c" * 64}
    initial = {"pipeline": "runs/first/pipeline", "digest": "c" * 64, "training": first}
    (student / "training.json").write_text(json.dumps(training | {"initial": initial}))
    (student / "distillation-1.yaml").write_text(yaml.safe_dump(stated | {"seed": 5, "nodes": [0, 4, 9]}))
    text = model_card(student)
    assert "weights of `cccccccccccc`: 6,543 steps of 96 trajectories (628,128; nodes 0, 4, 9)" in text
    assert "mmmi-hf distill model_cards/pictures-2/distillation-1.yaml --out runs/first\n" in text


def test_a_student_of_a_guided_teacher_without_a_card(student):
    """The teacher's record lies in the student's folder; the card names the guide."""
    training = json.loads((student / "training.json").read_text())
    stated = yaml.safe_load((student / "distillation.yaml").read_text())
    led = {"guide": "runs/guide/pipeline", "guidance": 1.75}
    training["teacher"] |= {
        "pipeline": "runs/pictures/pipeline",
        "guide": {"pipeline": led["guide"], "digest": "9" * 64},
    }
    training["recipe"] |= led | {"teacher": "runs/pictures/pipeline"}
    (student / "training.json").write_text(json.dumps(training))
    (student / "distillation.yaml").write_text(yaml.safe_dump(stated | led | {"teacher": "runs/pictures/pipeline"}))
    teacher = (student.parent / "pictures").rename(student / "teacher")
    text = model_card(student)
    assert "The teacher learned from 628,128 images (59,999 different ones) in 1 h 31 min with a learning" in text
    made = "mmmi-hf train model_cards/pictures-2/teacher/recipe.yaml --dataset data/pictures --out runs/pictures\n"
    assert f"{made}mmmi-hf distill model_cards/pictures-2/distillation.yaml" in text
    own = yaml.safe_load((teacher / "recipe.yaml").read_text())
    (student / "guide.yaml").write_text(yaml.safe_dump(own | {"steps": 5}))
    (teacher / "recipe-1.yaml").write_text(yaml.safe_dump(own | {"seed": 5}))
    record = json.loads((teacher / "training.json").read_text())
    first = record | {"recipe": record["recipe"] | {"seed": 5}, "seconds": 7200.0}
    initial = {"pipeline": "runs/first/pipeline", "digest": "c" * 64, "training": first}
    (teacher / "training.json").write_text(json.dumps(record | {"initial": initial}))
    text = model_card(student)
    assert (
        "The teacher learned from 1,256,256 images (59,999 different ones) in 3 h 31 min, 2 legs, the last with" in text
    )
    leg = made.replace("recipe.yaml", "recipe-1.yaml").replace("runs/pictures", "runs/first")
    guide = "mmmi-hf train model_cards/pictures-2/guide.yaml --out runs/guide\n"
    assert f"{leg}{made}{guide}mmmi-hf distill" in text
    assert "`999999999999`): v_guide + 1.75 (v_teacher − v_guide); the student" in text
    assert "no guidance" not in text


def test_a_student_beside_another_teacher(student):
    record = student.parent / "pictures/training.json"
    record.write_text(json.dumps(TRAINING | {"digest": "e" * 64}))
    with pytest.raises(ValueError, match=r"names teacher aaaaaaaaaaaa, the record of pictures is of eeeeeeeeeeee"):
        model_card(student)
    record.unlink()
    with pytest.raises(ValueError, match=r"pictures/training.json is missing"):
        model_card(student)


def test_its_front_matter_is_what_the_hub_reads(folder):
    data = ModelCard(model_card(folder)).data
    assert data.license == "apache-2.0"
    assert data.library_name == "diffusers"
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.datasets == ["owner/pictures"]
    assert "arxiv:2510.21686" in data.tags


def test_a_local_data_set_is_not_linked(folder):
    recipe = RECIPE | {"dataset": "./pictures"}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert ModelCard(model_card(folder)).data.datasets is None


def test_a_bundled_pipeline_is_loaded_by_its_name(folder, monkeypatch):
    monkeypatch.setattr(cards, "bundled_pipelines", lambda: ("pictures",))
    assert 'from_pretrained("pictures")' in model_card(folder)


def test_markdown_is_well_formed(folder):
    text = model_card(folder)
    assert text.endswith("```\n")
    assert "\n\n\n" not in text
    tables = re.findall(r"(?:^\|.*\|$\n)+", text, re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
        assert re.fullmatch(r"\|(---\|)+", table.splitlines()[1])


def test_the_template_types_no_number():
    text = (Path(cards.__file__).parent / "templates" / cards.TEMPLATE).read_text()
    prose = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|```.*?```|\(https?://\S+|arXiv:\d+\.\d+", "", text, flags=re.DOTALL)
    numbers = set(re.findall(r"\d+(?:\.\d+)?", prose))
    # N(0, I), [−1, 1], 1 − (1−σ), "95 %", x_1, (1 + s)/(10 + s), float16/32/64, bf16, TF32, 8-bit, a year, λ_min/2
    assert numbers <= {"0", "1", "2", "8", "10", "16", "32", "64", "95", "2019"}


@pytest.mark.parametrize("missing", list(PARTS))
def test_missing_parts_are_left_out(folder, missing):
    evaluation = copy.deepcopy(EVALUATION)
    del evaluation["parts"][missing]
    _write(folder, TRAINING, evaluation)
    text = model_card(folder)
    assert "\n\n\n" not in text
    assert ("Not measured." in text) == (missing in ("samples", "certificate", "storage"))
    assert ("samples.png" in text) == (missing != "samples")


def test_nothing_measured_yet_is_said(folder):
    _write(folder, TRAINING, EVALUATION | {"parts": {}})
    text = model_card(folder)
    assert text.count("Not measured.") == 4
    assert "\n\n\n" not in text


@pytest.mark.parametrize("extreme", ["smallest_stretch", "monotonicity"])
def test_a_certificate_that_fails_says_so(folder, extreme):
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["parts"]["certificate"]["results"][extreme] = -0.01
    _write(folder, TRAINING, evaluation)
    text = model_card(folder)
    assert "do not support that every step is injective" in text
    assert "strong sampled evidence" not in text


def test_check_finds_stale_cards(folder, capsys):
    assert main([str(folder), "--check"]) == 1, "there is no card yet"
    assert main([str(folder)]) == 0
    assert main([str(folder), "--check"]) == 0
    assert card_of(folder).stale_lines() == []
    card = folder / "README.md"
    card.write_text(card.read_text().replace("85.3 %", "99.9 %"))
    capsys.readouterr()
    assert main([str(folder), "--check"]) == 1
    printed = capsys.readouterr().out
    assert "-| class accuracy, with 95 % interval | 99.9 %" in printed
    assert "+| class accuracy, with 95 % interval | 85.3 %" in printed
    assert "99.9" in card.read_text(), "checking writes nothing"
    card_of(folder).write()
    assert main([str(folder), "--check"]) == 0


def test_any_change_of_a_measured_number_makes_the_card_stale(folder):
    card_of(folder).write()
    evaluation = copy.deepcopy(EVALUATION)
    evaluation["parts"]["storage"]["results"]["formats"]["float32"]["relative_error"] = 3.3e-7
    _write(folder, TRAINING, evaluation)
    assert any("3.3e-7" in line for line in card_of(folder).stale_lines())


def test_files_that_do_not_belong_together_are_refused(folder):
    _write(folder, TRAINING, EVALUATION | {"pipeline": EVALUATION["pipeline"] | {"digest": "b" * 64}})
    with pytest.raises(ValueError, match=r"evaluation.json is of pipeline bbbbbbbbbbbb, training.json of aaaaaaaaaaaa"):
        model_card(folder)
    _write(folder, TRAINING | {"recipe": RECIPE | {"seed": 14}}, EVALUATION)
    with pytest.raises(ValueError, match=r"recipe.yaml has seed = 13, training.json was made with 14"):
        model_card(folder)


@pytest.mark.parametrize("name", ["recipe.yaml", "training.json", "evaluation.json"])
def test_missing_and_broken_files_are_named(folder, name, capsys):
    (folder / name).write_text("[1]")
    with pytest.raises(ValueError, match=rf"{name}.* (must hold fields|input should be an object)"):
        model_card(folder)
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=rf"{name}.* (not valid YAML|invalid JSON)"):
        model_card(folder)
    (folder / name).unlink()
    assert main([str(folder)]) == 2
    assert f"{name} is missing" in capsys.readouterr().err
    assert not (folder / "README.md").exists()


def test_durations():
    assert [cards._duration(s) for s in (3.4, 59.4, 61, 3599, 5444)] == [
        "3 s",
        "59 s",
        "1 min",
        "1 h 0 min",
        "1 h 31 min",
    ]
