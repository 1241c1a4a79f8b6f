"""The container files agree with the package and call commands that exist; they are neither built nor started here."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.test_readme import parse

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
JOB = (ROOT / "docker" / "rayjob.yaml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# spec of RayJob and RayCluster in ray.io/v1, as far as it is used here
JOB_FIELDS = {
    "entrypoint",
    "submissionMode",
    "backoffLimit",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "rayClusterSpec",
}
CLUSTER_FIELDS = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def commands(program: str) -> list[str]:
    """Command lines of a program in the three files."""
    healthchecks = [" ".join(one["healthcheck"]["test"][1:]) for one in yaml.safe_load(COMPOSE)["services"].values()]
    lines = "\n".join([DOCKERFILE, COMPOSE.replace("\\\n#", " "), JOB, *healthchecks])
    found = re.findall(rf"(?:^#? *|CMD |entrypoint: |command: |exec head +){program} [a-z][^>\n]*", lines, re.MULTILINE)
    return sorted({line[line.index(f"{program} ") :].strip() for line in found})


def test_versions_agree() -> None:
    image = re.search(r"^ARG RAY_IMAGE=rayproject/ray:([\d.]+)-py3(\d+)-cpu$", DOCKERFILE, re.MULTILINE)
    assert image
    assert yaml.safe_load(JOB)["spec"]["rayClusterSpec"]["rayVersion"] == image[1]
    assert image[1] in Requirement(PROJECT["optional-dependencies"]["ray"][0]).specifier
    assert f"3.{image[2]}" in SpecifierSet(PROJECT["requires-python"])
    kenlm = next(one for one in PROJECT["dependencies"] if one.startswith("kenlm"))
    assert f" {kenlm} ." in DOCKERFILE


def test_the_commands_are_seen() -> None:
    assert len(commands("glotmill")) == 3
    assert {shlex.split(line)[1] for line in commands("ray")} == {"start", "health-check"}


@pytest.mark.parametrize("line", commands("glotmill"))
def test_glotmill_has_the_command(line: str) -> None:
    parse(shlex.split(line)[1:])
    for name in re.findall(r"(?:/opt/glotmill/)?(recipes/\S+)", line):
        assert f"{name} ./{name}" in DOCKERFILE


@pytest.mark.parametrize("line", commands("ray"))
def test_ray_has_the_command(line: str) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts")
    _, name, *arguments = shlex.split(line)
    scripts.cli.commands[name].make_context(name, arguments)


def test_what_the_dockerfile_copies_makes_a_whole_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    stage = DOCKERFILE.partition("AS wheels")[2].partition("\nFROM")[0]
    source = tmp_path / "source"
    source.mkdir()
    for line in re.findall(r"^COPY --chown=ray:users (.+)$", stage, re.MULTILINE):
        *names, target = line.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / target)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    packed = zipfile.ZipFile(next(tmp_path.glob("glotmill-*.whl"))).namelist()
    assert {"pipeline/cli/main.py", "pipeline/lang_configs/tur_Latn.toml", "pipeline/recipes/fineweb2.toml"} <= set(
        packed
    )
    copied = re.findall(r"^COPY --chown=ray:users (\S+) ", DOCKERFILE, re.MULTILINE)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert [line for line in DOCKERFILE.splitlines() if line.startswith("USER ")][-1] == "USER ray"


def test_all_nodes_use_a_token_and_share_the_data() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    for service in services.values():
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["volumes"] == ["data:/data"]
    assert services["worker"]["deploy"]["replicas"] == 2
    spec: dict[str, Any] = yaml.safe_load(JOB)["spec"]
    cluster = spec["rayClusterSpec"]
    assert set(spec) <= JOB_FIELDS
    assert set(cluster) <= CLUSTER_FIELDS
    assert cluster["authOptions"] == {"mode": "token"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert set(group) <= GROUP_FIELDS
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())  # the schema has strings
        pod = group["template"]["spec"]
        assert [one["mountPath"] for one in pod["containers"][0]["volumeMounts"]] == ["/data"]
        assert pod["volumes"][0]["name"] == pod["containers"][0]["volumeMounts"][0]["name"]
