"""What the README says to type works."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.gateway import BIN, free_port, start_gateway

from jupiter_addons.policy.load import load
from jupiter_addons.rehearsal.server import RehearsalThread

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Return every command of the console blocks, continued lines joined."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.replace("\\\n", "").splitlines()
        if line.startswith("$ ")
    ]


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def yaml_blocks(start: str) -> list[str]:
    return [block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if block.startswith(start)]


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{BIN}:{os.environ['PATH']}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPITER_")}
    env |= {"PATH": path, **environment}
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory):
    models = {"costs": {"overrides": {"gpt-4o-mini": {"input": 1, "output": 1}}}}
    from support.gateway import Setup

    setup = Setup(overrides={"processing": models, "providers": {"rehearsal": {"models": ["*"]}}})
    with start_gateway(tmp_path_factory.mktemp("readme"), provider.port, setup) as running:
        yield running


def here(command: str, gateway) -> str:
    return command.replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}").replace(".venv/bin/", "")


def test_every_command_is_known_to_this_test():
    """A new command in the README must be run by one of the tests below."""
    known = (
        "./scripts/start",
        "python3 -m venv",
        "cp config/minimal.yaml",
        "export OPENAI_API_KEY=",
        "export JUPITER_KEY=",
    )
    known += (
        ".venv/bin/jupiter run",
        "curl http",
        ".venv/bin/jupiter exec",
        "mitmdump -s",
        "mitmweb -s",
        "jupiter evidence",
        "jupiter policy",
        "jupiter limits",
        "python -m jupiter_addons.rehearsal",
    )
    assert [command for command in commands() if not command.startswith(known)] == []
    assert len(commands()) >= 10


def test_the_demo_tells_its_tour_and_ends():
    done = shell(f"jupiter demo --once --port {free_port()} --admin-port {free_port()}", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(1, 8):
        assert f"\n  {number}  " in done.stdout
    assert done.stdout.count("✓") >= 6


def test_the_five_commands_start_a_gateway(tmp_path: Path):
    """All but the installation itself, which `scripts/venv.sh` does on every machine that runs this."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    steps = [c for c in commands() if c.startswith(("cp config", "export OPENAI", "export JUPITER"))]
    script = " && ".join(step.replace(".venv/bin/", "") for step in steps)
    port, admin = free_port(), free_port()
    listen = f"JUPITER_PROXY__LISTEN_ADDRESS=127.0.0.1:{port} JUPITER_PROXY__ADMIN_ADDRESS=127.0.0.1:{admin}"
    tail = f"({listen} jupiter run & echo $! >pid) && for i in $(seq 600); do curl -fs http://127.0.0.1:{port}/ready && break; sleep 0.1; done; kill $(cat pid); echo $JUPITER_KEY"
    done = shell(f"{script} && {tail}", tmp_path)
    assert '{"ready":true' in done.stdout, done.stderr
    assert "jup_" in done.stdout


def test_the_built_in_provider_starts_by_itself():
    (command,) = [c for c in commands() if c.startswith("python -m jupiter_addons.rehearsal")]
    port = free_port()
    command = command.replace("8081", str(port))
    wait = (
        f"for i in $(seq 600); do curl -s http://127.0.0.1:{port}/v1/models && break; sleep 0.1; done; kill $(cat pid)"
    )
    with tempfile.TemporaryDirectory() as directory:
        done = shell(f"({command} & echo $! >pid) && {wait}", Path(directory))
    assert "{" in done.stdout, done.stderr
    help_text = shell(f"{command} --help", ROOT).stdout
    for knob in re.findall(r"`\[\[(\w+)=", README):
        assert knob in help_text, f"the README names `{knob}`, which `--help` does not"


def test_the_configuration_for_the_built_in_provider_is_one(tmp_path: Path):
    (block,) = yaml_blocks("providers:")
    (tmp_path / "jupiter.yaml").write_text(block)
    done = shell("jupiter config check -c jupiter.yaml", tmp_path)
    assert done.returncode == 0, done.stderr


def test_curl_through_the_gateway_door(gateway):
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    (command,) = [c for c in commands() if c.startswith("curl")]
    done = shell(here(command, gateway), gateway.directory, JUPITER_KEY=gateway.key)
    assert "You said: hi" in done.stdout, done.stdout + done.stderr


def test_the_sdks_through_the_gateway_door(gateway):
    python = ROOT / "tests/clients/.venv/bin/python"
    if not python.exists():
        pytest.skip("the SDKs are not installed: bash tests/clients/setup.sh")
    (block,) = python_blocks()
    openai, _, anthropic = here(block, gateway).partition("from anthropic")
    anthropic = "import os\nfrom anthropic" + anthropic
    ask = 'model="gpt-4o-mini", max_tokens=9, messages=[{"role": "user", "content": "hi"}]'
    openai += f"\nprint(client.chat.completions.create({ask}).choices[0].message.content)"
    anthropic += f"\nprint(client.messages.create({ask}).content[0].text)"
    for program in (openai, anthropic):
        env = {**os.environ, "JUPITER_KEY": gateway.key}
        done = subprocess.run(
            [python, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout.strip() == "You said: hi", done.stderr


def test_exec_through_the_intercept_door(gateway):
    (command,) = [c for c in commands() if "jupiter exec" in c]
    program = gateway.directory / "my_app.py"
    program.write_text(
        "import json, urllib.request\n"
        'body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).encode()\n'
        'request = urllib.request.Request("https://api.openai.com/v1/chat/completions", body, {"content-type": "application/json"})\n'
        'print(json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"])\n'
    )
    done = shell(
        here(command, gateway).replace("-- python", f"-- {sys.executable}"), gateway.directory, JUPITER_KEY=gateway.key
    )
    assert done.stdout.strip() == "You said: hi", done.stderr


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("jupiter evidence")])
def test_the_evidence_commands(command, gateway):
    done = shell(command, gateway.directory)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("jupiter limits")])
def test_the_limits_commands(command, gateway):
    done = shell(command, gateway.directory)
    assert done.returncode == 0, done.stderr
    if " reset " in command:
        assert (done.stdout, "reset" in done.stderr) == ("", True)
    else:
        assert ("requests_per_minute" in done.stdout, done.stderr) == (True, "")


def test_the_limits_shown_are_a_configuration(tmp_path: Path):
    (limits,) = yaml_blocks("limits:")
    (providers,) = yaml_blocks("providers:")
    (tmp_path / "jupiter.yaml").write_text(providers + limits)
    done = shell("jupiter config check -c jupiter.yaml", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("jupiter policy")])
def test_the_policy_commands(command, tmp_path: Path):
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "call.json").write_text('{"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}')
    done = shell(command, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_every_yaml_block_is_known_to_this_test():
    starts = ("mpl_version:", "providers:", "limits:")
    assert len(yaml_blocks("")) == sum(len(yaml_blocks(start)) for start in starts) == 3


def test_the_rules_load():
    (block,) = yaml_blocks("mpl_version:")
    assert len(load({"README": block.encode()}).rules) == 1


def test_every_file_the_readme_names_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"^\| [^|]+\| `([a-z_./]+)`", README, re.MULTILINE):
        assert (ROOT / "jupiter_addons" / name).exists() or (ROOT / name).exists(), name
