"""The compose file, the image, the manifest and the Makefile, as far as they can be looked at without running them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tradeflow.kafka.jars import VERSION
from tradeflow.settings import Settings, environment_name, load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MANIFEST = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "tradeflow.yaml").read_text()))
MAKEFILE = (ROOT / "Makefile").read_text()
VARIABLES = {environment_name(name) for name in Settings.model_fields}

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.]+)*")


# --- compose ---


def test_the_compose_file_is_one() -> None:
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    done = subprocess.run(check, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_in_the_schema_is_refused(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text().replace("    healthcheck:", "    healthchek:", 1))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(check, capture_output=True).returncode == 1


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_version_and_every_service_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert PINNED.fullmatch(service["image"]), service["image"]
    assert "healthcheck" in service or (service["build"] == "." and "\nHEALTHCHECK " in DOCKERFILE)
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_listens_beyond_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_services_wait_for_a_healthy_kafka() -> None:
    for name in ("worker", "console"):
        assert SERVICES[name]["depends_on"]["kafka"] == {"condition": "service_healthy"}


def test_files_that_are_mounted_are_there_and_volumes_declared() -> None:
    declared = yaml.safe_load(COMPOSE.read_text())["volumes"]
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source, _, target = volume.partition(":")
            if source.startswith("."):
                assert (ROOT / source).exists(), volume
                assert target.endswith(":ro")
            elif target:
                assert source in declared


def test_a_worker_may_write_nothing_but_its_state() -> None:
    worker = SERVICES["worker"]
    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]
    assert worker["volumes"] == ["/data"], "each replica's own: a named one would be shared"
    assert [mount.split(":")[0] for mount in worker["tmpfs"]] == ["/tmp"]
    uid = worker["user"].split(":")[0]
    assert f"--uid {uid} " in DOCKERFILE
    assert f"\nUSER {worker['user']}\n" in DOCKERFILE
    assert worker["environment"]["TRADEFLOW_DATA_DIR"] == "/data"


def test_a_workers_variables_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = SERVICES["worker"]["environment"]
    assert set(given) <= VARIABLES
    assert set(re.findall(r"\b(TRADEFLOW_[A-Z_]+)", DOCKERFILE)) <= VARIABLES
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    settings = load_settings()
    assert settings.kafka_brokers == "kafka:19092"
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert "INSIDE://kafka:19092" in listeners
    assert settings.redis_url
    assert f"@{settings.redis_url.get_secret_value()}".startswith("@redis://redis:")


def test_prometheus_finds_the_workers_in_both() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["worker"]
    assert of_kind("Service", "worker")["spec"]["clusterIP"] == "None", "the same name, one address a pod"
    assert found["port"] == SERVICES["worker"]["environment"]["TRADEFLOW_WEB_PORT"]


def test_grafana_finds_prometheus_and_its_dashboards() -> None:
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tradeflow.yml").read_text())["providers"]
    mounted = f"./deploy/grafana/dashboards:{provider['options']['path']}:ro"
    assert mounted in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy/grafana/dashboards" / Path(home).name).exists()
    assert Path(home).parent == Path(provider["options"]["path"])


def test_kafka_is_the_one_that_the_tests_run_on() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{VERSION}"


# --- the image ---


def test_the_image_is_built_from_pinned_bases_in_two_stages() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(PINNED.fullmatch(base) for base in bases)
    assert bases[0] == bases[1], "the environment belongs to one Python"


def test_every_package_of_the_image_is_held_against_its_hash() -> None:
    commands = re.findall(r"^RUN (.*pip (?:install|wheel).*)$", DOCKERFILE, re.MULTILINE)
    assert commands
    for command in commands:
        assert re.search(r"--require-hashes|--offline|--no-deps", command), command


def test_the_image_has_what_a_worker_needs_in_the_locked_versions() -> None:
    pins = [
        set(
            re.findall(
                r"^[a-z0-9.-]+==[^ ;]+", (ROOT / f"requirements{which}.lock").read_text(), re.MULTILINE
            )
        )
        for which in ("-image", "")
    ]
    assert pins[0] < pins[1]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[=<>]", one)[0].replace(".", "-") for one in needed}
    assert names <= {one.partition("==")[0].replace(".", "-") for one in pins[0]}


def test_what_the_image_copies_is_in_its_context() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert any(Path(name).match(pattern) for pattern in allowed), name


def test_the_image_is_called_by_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (container,) = of_kind("StatefulSet", "tradeflow")["spec"]["template"]["spec"]["containers"]
    assert SERVICES["worker"]["image"] == container["image"] == f"tradeflow:{project['version']}"


# --- Kubernetes ---


def of_kind(kind: str, name: str) -> Any:
    (found,) = (one for one in MANIFEST if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def test_the_manifests_variables_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (container,) = of_kind("StatefulSet", "tradeflow")["spec"]["template"]["spec"]["containers"]
    given = of_kind("ConfigMap", "tradeflow")["data"]
    given = given | {one["name"]: one["value"] for one in container["env"] if "value" in one}
    assert set(given) <= VARIABLES
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load_settings().web_host == "0.0.0.0"


def test_the_manifests_parts_fit_each_other() -> None:
    workers = of_kind("StatefulSet", "tradeflow")["spec"]
    pod = workers["template"]["spec"]
    (container,) = pod["containers"]
    labels = workers["template"]["metadata"]["labels"]
    services = [of_kind("Service", "worker"), of_kind("Service", "tradeflow")]
    for selector in [service["spec"]["selector"] for service in services] + [
        workers["selector"]["matchLabels"],
        of_kind("PodDisruptionBudget", "tradeflow")["spec"]["selector"]["matchLabels"],
    ]:
        assert selector == labels
    assert workers["serviceName"] == "worker"
    advertised = {one["name"]: one.get("value") for one in container["env"]}["TRADEFLOW_WEB_ADVERTISED_HOST"]
    assert advertised == "$(POD_NAME).worker"
    assert pod["enableServiceLinks"] is False, "names of services would be among the settings"
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workers["volumeClaimTemplates"]}
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "state": "/data",
        "tmp": "/tmp",
    }
    assert volumes == {"state", "tmp"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert PINNED.fullmatch(container["image"])


def test_probes_ask_views_that_exist() -> None:
    views = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text())["paths"]
    (container,) = of_kind("StatefulSet", "tradeflow")["spec"]["template"]["spec"]["containers"]
    probes = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert probes == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert set(probes.values()) <= set(views)
    startup = container["startupProbe"]
    wait = {one["name"]: one.get("value") for one in container["env"]}["TRADEFLOW_KAFKA_WAIT"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > float(wait) + 30


# --- make ---

WANTED = {
    "clean", "demo", "docker-down", "docker-up", "format", "help", "install", "kafka-list-topics", "kafka-topics",
    "lint", "logs", "req", "ruff", "run", "start-redpanda", "stop-redpanda", "test", "test-cov", "test-integration",
    "test-performance", "test-unit",
}  # fmt: skip
"""Those that people type without looking."""


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_every_target_in_groups() -> None:
    said = make("help")
    listed = re.findall(r"^  make ([a-z-]+) +(\S.*)$", said, re.MULTILINE)
    names = [name for name, _ in listed]
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(names) == sorted(phony.replace("\\", "").split())
    assert set(names) >= WANTED
    starts = {
        line.index(says) for line in said.splitlines() for name, says in listed if f"make {name} " in line
    }
    assert len(starts) == 1, "aligned"
    assert max(map(len, said.splitlines())) <= 80
    groups = re.findall(r"^(\w[^:\n]*)$", said, re.MULTILINE)
    assert len(groups) == MAKEFILE.count("\n##@ ") > 3


def test_every_target_has_a_recipe() -> None:
    for name in re.findall(r"^  make ([a-z-]+) ", make("help"), re.MULTILINE):
        recipe = make("--dry-run", "--always-make" if name in ("install", "req") else "--silent", name)
        assert recipe.strip(), name


def test_what_the_documents_tell_to_type_is_in_the_help() -> None:
    listed = set(re.findall(r"^  make ([a-z-]+) ", make("help"), re.MULTILINE))
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert name in listed, (page, name)


# --- tools that tests need ---


def test_missing_tools_are_named_by_their_packages(tmp_path: Path) -> None:
    """With nothing but a shell on the path all are missing; with one of them, the others."""
    for tool in ("bash", "env"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)
    script = ROOT / "scripts" / "missing-tools"

    def missing() -> list[str]:
        done = subprocess.run(
            [script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert missing() == ["chromium", "fish", "openssl", "prometheus", "redis-server", "zsh"]
    (tmp_path / "chromium-browser").symlink_to("/usr/bin/env")
    assert missing() == ["fish", "openssl", "prometheus", "redis-server", "zsh"]


def test_ci_installs_only_what_is_not_there(tmp_path: Path) -> None:
    """With apt-get and make that tell what they were asked for."""
    said = tmp_path / "said"
    for tool in ("bash", "env", "dirname", "id", "sh"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)
    for tool in ("apt-get", "make"):
        (tmp_path / tool).write_text(f'#!/bin/sh\necho {tool} "$@" >> {said}\n')
        (tmp_path / tool).chmod(0o755)
    (tmp_path / "id").unlink()
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    run = ["bash", str(ROOT / ".ci" / "run")]
    for tool in ("chromium", "fish", "openssl", "redis-server", "zsh"):
        (tmp_path / tool).symlink_to("/usr/bin/env")
    subprocess.run(run, env={"PATH": str(tmp_path)}, check=True)
    assert said.read_text().splitlines() == [
        "apt-get update",
        "apt-get install -y --no-install-recommends prometheus",
        "make test",
    ]
    (tmp_path / "prometheus").symlink_to("/usr/bin/env")
    said.unlink()
    subprocess.run(run, env={"PATH": str(tmp_path)}, check=True)
    assert said.read_text().splitlines() == ["make test"]
