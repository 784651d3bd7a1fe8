"""From a file to settings."""

from pathlib import Path

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.settings.load import defaults, find, is_loopback, load

MINIMAL = "providers:\n  p: {type: openai, base_url: https://h.example/v1, models: [m], api_key: '${KEY:-a}'}\n"


@pytest.fixture
def loaded(tmp_path):
    def read(more: str = "", environ: dict[str, str] | None = None):
        path = tmp_path / "j.yaml"
        path.write_text(MINIMAL + more)
        return load(path, environ or {})

    return read


def test_paths_start_at_the_files_folder(tmp_path, loaded):
    settings = loaded("policy: {file_path: rules}\n")
    assert settings.file == tmp_path / "j.yaml"
    assert settings.evidence_path == tmp_path / "state/evidence.db"
    assert settings.signing_dir == tmp_path / "state/signing"
    assert settings.keys_path == tmp_path / "state/keys.db"
    assert settings.ca_dir == tmp_path / "state/ca"
    assert settings.policy_path == tmp_path / "rules"


def test_all_state_follows_the_state_directory(loaded):
    settings = loaded("proxy: {state_dir: /var/lib/j}\n")
    assert {str(p) for p in (settings.evidence_path, settings.signing_dir, settings.keys_path, settings.ca_dir)} == {
        "/var/lib/j/evidence.db",
        "/var/lib/j/signing",
        "/var/lib/j/keys.db",
        "/var/lib/j/ca",
    }


def test_a_path_of_its_own_is_taken_as_written(tmp_path, loaded):
    more = (
        "evidence: {url: 'sqlite:e/log.db', signing_key_path: /k}\nidentity: {keys: ../k.db}\nintercept: {ca_dir: ca}\n"
    )
    settings = loaded(more)
    assert settings.evidence_path == tmp_path / "e/log.db"
    assert str(settings.signing_dir) == "/k"
    assert settings.keys_path == tmp_path / "../k.db"
    assert settings.ca_dir == tmp_path / "ca"
    assert settings.policy_path is None


def test_a_relative_name_gives_absolute_paths(tmp_path, loaded, monkeypatch):
    loaded()
    monkeypatch.chdir(tmp_path)
    assert load(Path("j.yaml"), {}).evidence_path == tmp_path / "state/evidence.db"


def test_secrets_stand_beside_the_file_or_where_the_environment_says(tmp_path, loaded):
    for directory in ("secrets", "elsewhere"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "key").write_text(f"from-{directory}\n")
        (tmp_path / directory / "key").chmod(0o600)
    more = "  q: {type: openai, base_url: https://h.example, models: [m], api_key: '${secret:key}'}\n"
    assert loaded(more).providers["q"].api_key.get_secret_value() == "from-secrets"
    named = loaded(more, {"JUPITER_SECRETS_DIR": str(tmp_path / "elsewhere")})
    assert named.providers["q"].api_key.get_secret_value() == "from-elsewhere"


def test_the_digest_changes_with_what_is_in_force_and_not_with_secrets(loaded):
    digest = loaded().digest
    assert len(digest) == 64
    assert loaded(environ={"KEY": "b"}).digest == digest
    assert loaded("environment: production  # the default\n").digest == digest
    assert loaded("environment: test\n").digest != digest
    assert loaded(environ={"JUPITER_ENVIRONMENT": "test"}).digest == loaded("environment: test\n").digest


NOTES = {
    "open listener": (
        "proxy: {listen_address: 0.0.0.0:8080}\n",
        "3:25: `proxy.listen_address` 0.0.0.0 can be reached from other machines: keys and prompts travel in clear; "
        "hint: put TLS in front of it",
    ),
    "open admin port": (
        "proxy: {admin_address: '[::]:9090'}\n",
        "3:24: `proxy.admin_address` :: can be reached from other machines: metrics are there for all who reach it",
    ),
    "key in clear": (
        "  q: {type: openai, base_url: http://h.example, models: [m], api_key: a}\n",
        "3:31: the key of `q` is sent in clear; hint: use https",
    ),
    "limit of nobody": (
        "limits: {by_team: {lab: {requests_per_day: 1}}}\n",
        "3:25: no principal is in team `lab`",
    ),
    "old spelling": (
        "proxy: {read_timeout: 5s}\n",
        "3:9: `proxy.read_timeout` is `proxy.limits.header_timeout` now",
    ),
}


@pytest.mark.parametrize(("more", "note"), NOTES.values(), ids=NOTES.keys())
def test_what_works_and_may_not_be_meant_is_noted(more, note, loaded):
    settings = loaded(more)
    assert [str(n).removeprefix(f"{settings.file}:") for n in settings.notes] == [note]


def test_a_plain_configuration_has_no_notes(loaded):
    assert loaded("  q: {type: openai, base_url: 'http://127.0.0.1:1', models: [m], api_key: a}\n").notes == ()


def test_the_environment_wins_over_an_old_spelling(loaded):
    settings = loaded("proxy: {read_timeout: 5s}\n", {"JUPITER_PROXY__LIMITS__HEADER_TIMEOUT": "7s"})
    assert settings.proxy.limits.header_timeout == 7


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value) == f"{path}: cannot be read: {reason}"


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path):
    path = tmp_path / "j.yaml"
    path.write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        load(path, {})


def test_the_configuration_is_the_named_one_or_the_first_that_is_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no configuration here"):
        find({}, tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/jupiter.yaml").touch()
    assert find({}, tmp_path) == tmp_path / "config/jupiter.yaml"
    (tmp_path / "jupiter.yaml").touch()
    assert find({}, tmp_path) == tmp_path / "jupiter.yaml"
    assert str(find({"JUPITER_CONFIG": "other.yaml"}, tmp_path)) == "other.yaml"


def test_defaults_need_no_file_and_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPITER_ENVIRONMENT", "other")
    provider = {"type": "rehearsal", "base_url": "http://127.0.0.1:1/v1", "models": ["m"]}
    settings = defaults(tmp_path / "demo.yaml", {"environment": "demo", "providers": {"p": provider}})
    assert settings.environment == "demo"
    assert settings.keys_path == tmp_path / "state/keys.db"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="`providers` is required"):
        defaults(tmp_path / "demo.yaml", {})


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("h", False),
        ("", False),
    ],
)
def test_only_loopback_is_loopback(host, answer):
    assert is_loopback(host) is answer
