"""The recipes for Kubernetes, KubeRay and Azure ML, read by those who would run them; their words by `bench` itself.

The Kubernetes client, Azure's and a linter of container files are in an environment of their own, `.recipes`, and the
definition of a RayJob beside them, where `.ci/run` puts them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ghostbench.cli.run import command
from ghostbench.running.plan.placement import PLACES, Placement

TOP = Path(__file__).resolve().parents[2]
RECIPES = TOP / "docs" / "recipes"
PYTHON = TOP / ".recipes" / "bin" / "python"
HADOLINT = TOP / ".recipes" / "bin" / "hadolint"
RAY_JOB = TOP / ".recipes" / "ray.io_rayjobs.yaml"

KUBERNETES = """
import json, sys, yaml
from kubernetes.client import ApiClient
kind, file, path = sys.argv[1:]
given = yaml.safe_load(open(file))
for step in path.split("/") if path else ():
    given = given[int(step) if step.isdigit() else step]

client = ApiClient()
read = client.sanitize_for_serialization(client.deserialize(json.dumps(given), kind, "application/json"))
if read != given:
    sys.exit(f"read otherwise than it was written: {json.dumps(read)} for {json.dumps(given)}")
"""
AZURE = """
import sys
from azure.ai.ml import load_job
job = load_job(sys.argv[1])
print(job.type, job.compute, sorted(job.inputs), sorted(job.outputs))
"""


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((RECIPES / name).read_text(encoding="utf-8"))


def read_by(program: str, *words: str) -> str:
    if not PYTHON.exists():
        pytest.skip("the clients of Kubernetes and Azure ML are not installed; .ci/run installs them into .recipes")
    done = subprocess.run(
        [str(PYTHON), "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "AZURE_CORE_COLLECT_TELEMETRY": "0"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def commands() -> Iterator[tuple[str, list[str]]]:
    """The words of `bench` in each recipe."""
    job = manifest("kubernetes-indexed-job.yaml")["spec"]["template"]["spec"]["containers"][0]["args"][0]
    yield "kubernetes", shlex.split(job.partition("exec bench ")[2].replace("\\\n", " "))
    ray = shlex.split(manifest("kuberay-job.yaml")["spec"]["entrypoint"])[-1]
    yield "kuberay", shlex.split(ray.partition("exec bench ")[2])
    azure = manifest("azure-ml-job.yaml")["command"]
    yield "azure", shlex.split(re.sub(r"\$\{\{(.*?)\}\}", r"\1", azure))[1:]


@pytest.mark.parametrize(("name", "words"), list(commands()), ids=[name for name, _ in commands()])
def test_the_words_of_a_recipe_are_those_of_bench_run(name: str, words: list[str]) -> None:
    assert words[0] == "run"
    # What the shell puts there is nothing in a first run.
    given = [word for word in words[1:] if word not in ("${resume[@]}", "$resume")]
    context = command.make_context("run", [word.replace("$share/$SHARDS", "1/8") for word in given])
    assert context.params["models"].split(",")[0] == "drivemm"
    assert Placement.of(context.params["on"]).place in PLACES


def test_as_many_pods_as_shares() -> None:
    job = manifest("kubernetes-indexed-job.yaml")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert {"name": "SHARDS", "value": str(job["completions"])} in container["env"]
    assert job["completions"] == job["parallelism"]


def test_as_many_replicas_as_gpus_on_the_ray_cluster() -> None:
    job = manifest("kuberay-job.yaml")["spec"]
    (group,) = job["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert (
        f"--replicas drivemm={group['replicas'] * int(container['resources']['limits']['nvidia.com/gpu'])} "
        in (job["entrypoint"])
    )
    constraints = (TOP / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"ray=={job['rayClusterSpec']['rayVersion']}" in constraints


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("V1Job", "kubernetes-indexed-job.yaml", ""),
        ("V1PodTemplateSpec", "kuberay-job.yaml", "spec/rayClusterSpec/headGroupSpec/template"),
        ("V1PodTemplateSpec", "kuberay-job.yaml", "spec/rayClusterSpec/workerGroupSpecs/0/template"),
    ],
)
def test_kubernetes_reads_what_is_written(kind: str, name: str, path: str) -> None:
    read_by(KUBERNETES, kind, str(RECIPES / name), path)


@pytest.mark.slow
def test_azure_ml_loads_its_job() -> None:
    assert read_by(AZURE, str(RECIPES / "azure-ml-job.yaml")) == ("command h100 ['clips', 'labels'] ['results']\n")


@pytest.mark.slow
def test_the_ray_job_is_one_by_kuberays_definition() -> None:
    if not RAY_JOB.exists():
        pytest.skip("KubeRay's definition of a RayJob is not there; .ci/run fetches it into .recipes")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load(RAY_JOB.read_text(encoding="utf-8"), loader)["spec"]["versions"]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1")
    job = manifest("kuberay-job.yaml")
    assert list(misfits(job["spec"], schema["properties"]["spec"], "spec")) == []
    wrong = {**job["spec"], "entrypoints": "x", "shutdownAfterJobFinishes": "yes"}
    assert len(list(misfits(wrong, schema["properties"]["spec"], "spec"))) == 2


def misfits(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    """What a structural schema of Kubernetes does not know, misses, or has another type for."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    types = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    kind = schema.get("type")
    if kind in types and not schema.get("x-kubernetes-int-or-string") and not isinstance(value, types[kind]):
        yield f"{at} is no {kind}"
        return
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            if name in known:
                yield from misfits(each, known[name], f"{at}.{name}")
            elif isinstance(rest, dict):
                yield from misfits(each, rest, f"{at}.{name}")
            elif not rest:
                yield f"{at}.{name} is unknown"
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from misfits(each, schema["items"], f"{at}[{number}]")


def test_the_image_has_what_the_recipes_run() -> None:
    lines = (RECIPES / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    words = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    assert words[0][0] == "FROM"
    assert {word for word, _ in words} <= {"FROM", "RUN", "ENV", "ARG", "COPY", "USER", "WORKDIR", "CMD"}
    extras = re.search(r"^ARG EXTRAS=([a-z0-9,]+)$", "\n".join(lines), re.M)
    assert extras is not None
    installing = next(rest for word, rest in words if word == "RUN" and "pip install" in rest)
    assert '-c /src/constraints.txt "/src[$EXTRAS]"' in installing, "every machine has the same versions"
    text = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", text, re.M) for extra in extras[1].split(","))
    (user,) = (rest for word, rest in words if word == "USER")
    # By its number: Kubernetes looks into no image for who a name is when it is to see that nothing runs as root.
    assert int(user) > 0
    assert any(f"useradd --create-home --uid {user} " in rest for word, rest in words if word == "RUN")


def test_a_linter_has_nothing_against_the_containerfile() -> None:
    if not HADOLINT.exists():
        pytest.skip("the linter of container files is not installed; .ci/run installs it into .recipes")
    given = [str(HADOLINT), "--no-color", str(RECIPES / "Containerfile")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    unfit = (RECIPES / "Containerfile").read_text(encoding="utf-8").replace("--no-install-recommends", "")
    done = subprocess.run([*given[:-1], "-"], input=unfit, capture_output=True, text=True, check=False)
    assert "DL3015" in done.stdout
