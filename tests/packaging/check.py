"""The package without a clone: built, looked at, installed elsewhere, and asked for everything that needs no network.

    python -m tests.packaging.check build/installed              # as the CI does
    python -m tests.packaging.check build/installed --download   # its dependencies too, into an empty environment

Owns what must be in wheel and sdist, and the installation, in which `tests.readme.run_blocks --python` goes on. Without
--download the dependencies are those of this environment, in which the package itself is not seen.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

from packaging.metadata import Metadata

from tests.support import ROOT

PROGRAMS = ("hf", "torchrun")
"""Of dependencies, which the README calls."""
MOST_BYTES = 48_000_000
"""Of wheel and sdist: the 40 MB that they could have with three pipelines, and 8 for that of sounds."""


def built(folder: Path) -> tuple[Path, Path]:
    """Sdist, and the wheel that is built from it."""
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], check=True, stdout=2)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check_contents(sdist: Path, wheel: Path) -> None:
    """Raise AssertionError unless both hold the package as it is in the repository, and the wheel nothing else."""
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "mmmi_hf"], capture_output=True, text=True, check=True)
    package = set(tracked.stdout.split())
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        text = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA")))
        weights = sum(each.compress_size for each in archive.infolist() if each.filename.endswith(".safetensors"))
    assert names == package, sorted(names ^ package)[:5]
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    missing = {*package, "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt"} - inside
    assert not missing, sorted(missing)[:5]
    described = Metadata.from_email(text, validate=True)
    assert described.license_expression == "Apache-2.0"
    assert described.description == (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (sdist, wheel):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {weights / 1e6:.1f} MB of it weights")
        assert path.stat().st_size <= MOST_BYTES


def installed(wheel: Path, folder: Path, *, download: bool) -> Path:
    """A new environment with the wheel; returns its Python."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    options = ["-c", ROOT / "constraints.txt"] if download else ["--no-deps", "--no-index"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *options, wheel], check=True)
    if not download:
        (site,) = (folder / "lib").glob("python*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for program in entry_points(group="console_scripts"):
            if program.name in PROGRAMS:
                script = folder / "bin" / program.name
                script.write_text(f"#!{python}\nfrom {program.module} import {program.attr}\n{program.attr}()\n")
                script.chmod(0o755)
    return python


class Installation:
    """Programs of an installation, called from an empty folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))}
        self.env = kept | {"HOME": str(folder), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

    def call(self, *arguments: str, code: int = 0) -> str:
        """What `mmmi-hf` prints, stdout before stderr; AssertionError for another exit code."""
        return self._run([self.python.with_name("mmmi-hf"), *arguments], code)

    def compute(self, program: str) -> str:
        """What a program in Python prints."""
        return self._run([self.python, "-c", program], 0)

    def _run(self, command: list[object], code: int) -> str:
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def check_without_weights(here: Installation) -> None:
    """Raise AssertionError unless an installation without `flow/pretrained` does all that needs no network."""
    bundled = "from mmmi_hf.flow import bundled_pipelines; print(bundled_pipelines())"
    assert here.compute(bundled).strip() == "()"
    assert "common-cause-1.0" in here.call("list")
    assert "1.000000" in here.call("info", "common-cause-1.0")
    here.call("design", "--want", "I(x1;y)=1", "--out", "designed.yaml")
    here.call("figures", "common-cause-1.0", "--out", "pictures", "--quiet")
    refused = here.call("generate", "common-cause-1.0", "--out", "images", "--rows", "4", "--quiet", code=2)
    assert "this installation comes without its weights" in refused
    assert refused.count("\n") == 1
    assert not (here.folder / "images").exists()
    here.call("generate", "common-cause-1.0", "--pipeline", "identity", "--out", "latents", "--rows", "64", "--quiet")
    assert "valid" in here.call("verify", "latents", "--quiet")
    assert "I(x1;y)" in here.compute("import mmmi_hf; print(mmmi_hf.load('latents', progress=False))")
    print("without weights: list, info, design, figures, generate, verify and load work; images are refused")


def main() -> None:
    """Build, check, install, and check again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the installation; what is there is replaced")
    parser.add_argument("--download", action="store_true", help="install the dependencies too")
    options = parser.parse_args()
    folder = options.folder.absolute()
    with tempfile.TemporaryDirectory(prefix="mmmi-hf-wheel-") as temporary:
        sdist, wheel = built(Path(temporary) / "dist")
        check_contents(sdist, wheel)
        python = installed(wheel, folder, download=options.download)
        here = Installation(python, Path(temporary) / "here")
        here.folder.mkdir()
        package = Path(here.compute("import mmmi_hf; print(mmmi_hf.__path__[0])").strip())
        assert package.is_relative_to(folder), f"{package} is not in {folder}"
        assert here.call("--version") == here.compute("import mmmi_hf; print('mmmi-hf', mmmi_hf.__version__)")
        weights, aside = package / "flow" / "pretrained", folder / "weights"
        weights.rename(aside)
        check_without_weights(here)
        aside.rename(weights)
        assert "fashion-mnist" in here.compute("from mmmi_hf.flow import bundled_pipelines; print(bundled_pipelines())")
    print(f"installed: {python}")


if __name__ == "__main__":
    main()
