"""The README's commands, as written there, by the installed wheel from any folder."""

import os
import re
import subprocess

import pytest
from tests.recipes import write
from tests.unit.cli.mesh import free_port
from tests.wheels import ROOT, clean_environment, install


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    return install(tmp_path_factory.mktemp("wheel"))


def laptop_commands() -> list[str]:
    """The second block of the README's laptop section; the first installs."""
    section = (ROOT / "README.md").read_text().partition("## Try it on your own YAML, without root")[2]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    assert "pip install" in blocks[0]
    return [line.partition(" #")[0].rstrip() for line in blocks[1].splitlines() if line]


def test_the_readmes_commands_do_what_it_says(commands, tmp_path):
    """The script is the README's, apart from ports that may be taken here. Its processes end with it."""
    lines = laptop_commands()
    assert [line.split()[0] for line in lines] == ["nodemesh", "python3", "nodemesh", "nodemesh", "nodemesh", "curl"]
    ports = {"127.0.0.1:8080": f"127.0.0.1:{free_port()}"}
    example, backends, lint, explain, run, curl = (
        re.sub("|".join(map(re.escape, ports)), lambda found: ports[found[0]], line) for line in lines
    )
    admin = f" --admin 127.0.0.1:{free_port()} &"
    assert run.endswith(" &")
    script = f"""
        set -e
        {example}
        {backends}
        backends=$!
        {lint}
        {explain}
        {run.removesuffix(" &")}{admin}
        agent=$!
        trap 'kill $agent $backends; wait' EXIT
        {curl} --retry 50 --retry-delay 0 --retry-max-time 20
        for _ in $(seq 30); do {curl} -sS -H 'end-user: jason'; done
    """
    environment = clean_environment()
    path = f"{commands}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "no problems found" in done.stderr
    assert "=> route" in done.stdout and "outbound|80|v2|reviews.default.svc.cluster.local" in done.stdout
    answers = re.findall("reviews v[12] answers /", done.stdout)
    assert len(answers) == 31 and set(answers[1:]) == {"reviews v2 answers /"}, done.stdout


def test_the_recipes_for_tests_of_rules_run_as_they_are_written(commands, tmp_path):
    files = write(tmp_path)
    options = {"cwd": tmp_path, "env": clean_environment(), "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run([commands / "python", "-m", "pytest", "-q", "--color=no"], **options)
    recipes = sum(text.count("def test_") for text in files.values())
    assert done.returncode == 0 and f"{recipes} passed" in done.stdout, done.stdout
    done = subprocess.run([commands / "nodemesh", "test", "test_reviews.yaml"], **options)
    assert (done.returncode, done.stdout.count("✓")) == (0, files["test_reviews.yaml"].count("\n- name: ")), done
    (tmp_path / "mesh/reviews.yaml").write_text(files["mesh/reviews.yaml"].replace("subset: v2}}]", "subset: v1}}]"))
    done = subprocess.run([commands / "nodemesh", "test", "test_reviews.yaml"], **options)
    assert done.returncode == 1 and "test_reviews.yaml:3:3: it went to v1, not to v2" in done.stdout, done


def test_it_brings_its_programs_its_manifests_and_no_more(commands):
    ask = "from nodemesh.share import folder; print(folder('bpf'), folder('manifests'))"
    done = subprocess.run(
        [commands / "python", "-c", ask], cwd="/", env=clean_environment(), capture_output=True, text=True, timeout=30
    )
    bpf, manifests = done.stdout.split()
    assert bpf.startswith(str(commands.parent)) and manifests.startswith(str(commands.parent))
    for name, found in (("bpf", bpf), ("manifests", manifests)):
        ours = {path.relative_to(ROOT / name) for path in (ROOT / name).rglob("*") if path.is_file()}
        wanted = {path for path in ours if path.parts[0] != "image" and "__pycache__" not in path.parts}
        got = {
            os.path.relpath(os.path.join(folder, file), found) for folder, _, files in os.walk(found) for file in files
        }
        assert {path for path in got if "__pycache__" not in path} == set(map(str, wanted))
