"""What `pip install .` puts into a virtual environment works from any folder, without the checkout."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.config.reading import find_recipe, load_run_config
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is in the extra `dev`")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    return next(folder.glob("glotmill-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """A folder that any user may read, as site-packages."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        target = Path(folder) / "site-packages"
        options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(target)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
        yield target


def python(
    installed: Path, cwd: Path, *arguments: str, prefix: Sequence[str] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "200"} | variables
    command = [*prefix, sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_wheel_has_all_language_files_recipes_and_models(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("lang_configs", "recipes", "pipeline/models"):
        files = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        expected = {path.as_posix() if path.parts[0] == "pipeline" else f"pipeline/{path.as_posix()}" for path in files}
        assert expected - packed == ({"pipeline/recipes/demo.toml"} if folder == "recipes" else set())


def test_an_installed_command_finds_its_language_files_and_recipes(installed: Path, tmp_path: Path) -> None:
    shown = python(installed, tmp_path, "-m", "pipeline", "config", "show", "tur_Latn")
    assert shown.returncode == 0, shown.stderr
    assert "Turkish" in shown.stdout.splitlines()[0]
    assert "lang_configs/tur_Latn.toml" in shown.stdout
    (tmp_path / "one.warc").write_bytes(b"")
    planned = python(installed, tmp_path, "-m", "pipeline", "plan", "culturax", "--input", "one.warc")
    assert planned.returncode == 0, planned.stderr
    assert "17 bands of 15 rows" in planned.stdout
    load = "from pipeline.config.reading import load_run_config as f"
    where = f"{load}; from pathlib import Path; print(f(Path('culturax')))"
    assert f"language_configs='{installed}/pipeline/recipes/culturax_languages'" in python(
        installed, tmp_path, "-c", where
    ).stdout.replace(os.path.realpath(installed), str(installed))


def test_kernels_compile_where_no_folder_can_be_written(installed: Path) -> None:
    """As in a read-only container: neither site-packages nor the home can hold Numba's cache."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root writes anywhere; setpriv (util-linux) takes that right away")
    home = installed.parent / "home"
    home.mkdir()
    folders = [home, *(path for path in installed.rglob("*") if path.is_dir())]
    code = "from pipeline.dedup.components import flatten, new_parent; print(flatten(new_parent(3)))"
    for folder in folders:
        folder.chmod(0o555)
    result = python(
        installed,
        installed,
        "-c",
        "import pipeline.text.metrics.repetition, pipeline.dedup.verify\n" + code,
        prefix=["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else [],
        HOME=str(home),
        XDG_CACHE_HOME=str(home),
    )
    for folder in folders:
        folder.chmod(0o755)  # so that it can be deleted
    assert (result.returncode, result.stdout) == (0, "[0 1 2]\n"), result.stderr
    assert list(installed.rglob("*.nbi")) == []


def test_a_recipe_is_found_by_name_and_a_file_of_that_name_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert find_recipe(Path("default")) == ROOT / "recipes" / "default.toml"
    (tmp_path / "fineweb2").write_text("selection = 'own'")
    assert load_run_config(Path("fineweb2")).selection == "own"
    for wrong in ("fineweb3", "x/default", "default.toml"):
        with pytest.raises(ConfigError, match=f"^{wrong}: no such file, .* culturax, default, demo, fineweb2$"):
            load_run_config(Path(wrong))


def test_folders_named_in_a_config_are_relative_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "own.toml").write_text('language_configs = "languages"\nmodels = "../models"')
    monkeypatch.chdir(tmp_path)
    config = load_run_config(Path("configs/own.toml"))
    assert config.language_configs == str(tmp_path / "configs" / "languages")
    assert config.models == str(tmp_path / "models")
    given = load_run_config(Path("configs/own.toml"), {"language_configs": "elsewhere"})
    assert given.language_configs == "elsewhere"
