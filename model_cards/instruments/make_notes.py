#!/usr/bin/env python3
"""The data set of the pipelines `instruments`: single notes of recorded instruments, ten families of them.

    sudo apt-get install fluidsynth fluid-soundfont-gm      # the font has the MIT licence
    python model_cards/instruments/make_notes.py data/notes

writes train.parquet and test.parquet, which `datasets.load_dataset` reads, with the columns

    signal     2,048 samples at 8 kHz, the first quarter of a second of a note; int16, −1,024 … 1,023 are full scale
    label      the family, a ClassLabel with names
    program    0 … 79, the instrument of General MIDI
    pitch      in semitones, 69 is 440 Hz; any real number
    velocity   80 … 126, how hard the note is played

`--shuffled-labels` gives the training notes their labels in a random order: what learns from them is of no family, and
guides the student's journeys away from what all families have in common.

It needs numpy and datasets, which the package has. The same font and the same version of fluidsynth give the same
notes. A note that is as good as silent, of instruments that cannot play its pitch, is drawn again.
"""

import argparse
import pathlib
import struct
import subprocess
import tempfile

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RATE, LENGTH, BITS = 8000, 2048, 11
FAMILIES = {
    "piano": range(8),
    "chromatic percussion": range(8, 16),
    "organ": range(16, 24),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "strings": range(40, 46),
    "ensemble": range(48, 56),
    "brass": range(56, 64),
    "reed": range(64, 72),
    "pipe": range(72, 80),
}
PITCHES = dict.fromkeys(FAMILIES, (45, 84)) | {"bass": (28, 55)}
BEND_RANGE = 2.0  # semitones, what fluidsynth has before it is told otherwise
QUIET = 1e-3  # root mean square below which a note is silent; the quietest of the others have 0.005


def drawn(rng, name, count):
    """Notes of a family: program, pitch, bend (both semitones) and velocity, `count` of each."""
    low, high = PITCHES[name]
    return {
        "program": rng.choice(list(FAMILIES[name]), count),
        "key": rng.integers(low, high, count),
        "bend": rng.uniform(-0.5, 0.5, count),
        "velocity": rng.integers(80, 127, count),
    }


def score(notes):
    """A MIDI file in which every note has a second, and sounds for half of it: 480 ticks are half a second."""

    def ticks(number):
        return bytes([number >> 7 | 0x80, number & 0x7F]) if number > 127 else bytes([number])

    events, rest = [], 0
    for program, key, bend, velocity in zip(*(notes[name].tolist() for name in notes), strict=True):
        wheel = 8192 + round(bend / BEND_RANGE * 8192)
        events += [
            ticks(rest) + bytes([0xB0, 120, 0]),  # what is left of the note before is silenced
            ticks(0) + bytes([0xC0, program]),
            ticks(0) + bytes([0xE0, wheel & 0x7F, wheel >> 7]),
            ticks(0) + bytes([0x90, key, velocity]),
            ticks(480) + bytes([0x80, key, 0]),
        ]
        rest = 480
    track = b"".join(events) + ticks(rest) + b"\xff\x2f\x00"
    return struct.pack(">4sIHHH", b"MThd", 6, 0, 1, 480) + struct.pack(">4sI", b"MTrk", len(track)) + track


def rendered(notes, font):
    """(n, LENGTH) float64, full scale is 1."""
    with tempfile.TemporaryDirectory() as folder:
        played, sound = pathlib.Path(folder, "notes.mid"), pathlib.Path(folder, "notes.wav")
        played.write_bytes(score(notes))
        plain = ["-R", "0", "-C", "0"]  # no reverberation, no chorus
        subprocess.run(
            ["fluidsynth", "-ni", "-T", "wav", "-F", sound, "-r", str(RATE), "-g", "0.8", *plain, font, played],
            check=True,
            capture_output=True,
        )
        content = sound.read_bytes()
    stereo = np.frombuffer(content, "<i2", offset=content.index(b"data") + 8).reshape(-1, 2)
    starts = RATE * np.arange(len(notes["key"]))[:, None]
    return stereo.mean(axis=1)[starts + np.arange(LENGTH)] / 32768


def family(rng, label, name, count, font):
    """Columns of `count` notes that can be heard."""
    found = {"signal": np.empty((0, LENGTH), np.int16)}
    while len(found["signal"]) < count:
        notes = drawn(rng, name, 250)
        sound = rendered(notes, font)
        loud = np.sqrt((sound**2).mean(axis=1)) > QUIET
        made = {
            "signal": np.rint(sound * 2 ** (BITS - 1)).astype(np.int16),
            "program": notes["program"],
            "pitch": notes["key"] + notes["bend"],
            "velocity": notes["velocity"],
        }
        found = {key: np.concatenate([*([found[key]] if key in found else []), made[key][loud]]) for key in made}
    return {key: values[:count] for key, values in found.items()} | {"label": np.full(count, label)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--font", default="/usr/share/sounds/sf2/FluidR3_GM.sf2")
    parser.add_argument("--train", type=int, default=800, help="notes of each family")
    parser.add_argument("--test", type=int, default=300, help="notes of each family")
    parser.add_argument("--shuffled-labels", action="store_true", help="labels of training notes tell nothing")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    features = datasets.Features(
        {
            "signal": datasets.List(datasets.Value("int16"), length=LENGTH),
            "label": datasets.ClassLabel(names=list(FAMILIES)),
            "program": datasets.Value("int64"),
            "pitch": datasets.Value("float64"),
            "velocity": datasets.Value("int64"),
        }
    )
    for seed, (split, count) in enumerate({"train": asked.train, "test": asked.test}.items()):
        parts = [
            family(np.random.default_rng((seed, label)), label, name, count, asked.font)
            for label, name in enumerate(FAMILIES)
        ]
        columns = {key: np.concatenate([part[key] for part in parts]) for key in features}
        if asked.shuffled_labels and split == "train":
            np.random.default_rng(0).shuffle(columns["label"])
        signals = pa.FixedSizeListArray.from_arrays(columns.pop("signal").ravel(), LENGTH)
        table = pa.table({"signal": signals, **columns}).cast(features.arrow_schema)
        file = asked.out / f"{split}.parquet"
        plain = [name for name in features if name != "signal"]
        packed = {"signal.list.element": "DELTA_BINARY_PACKED"}
        pq.write_table(
            table, file, compression="zstd", compression_level=19, use_dictionary=plain, column_encoding=packed
        )
        print(f"{split}: {len(table)} notes, {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
