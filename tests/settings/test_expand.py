"""References in values."""

import stat

import pytest

from jupiter_addons.documents import read
from jupiter_addons.settings.expand import MAX_SECRET_BYTES, Expansion

ENVIRON = {"KEY": "value", "EMPTY": "", "NESTED": "${KEY}", "HOST": "h"}

CASES = {
    "whole value": ("${KEY}", "value"),
    "inside a value": ("https://${HOST}/v1", "https://h/v1"),
    "two in one": ("${HOST}-${KEY}", "h-value"),
    "default unused": ("${KEY:-other}", "value"),
    "default for what is not set": ("${NONE:-other}", "other"),
    "default for what is empty": ("${EMPTY:-other}", "other"),
    "empty default": ("${NONE:-}", ""),
    "set and empty": ("x${EMPTY}", "x"),
    "dollar sign": ("$$5", "$5"),
    "escaped reference": ("$${KEY}", "${KEY}"),
    "dollar and reference": ("$$${KEY}", "$value"),
    "a lone dollar sign": ("a$b $KEY", "a$b $KEY"),
    "a value is not expanded again": ("${NESTED}", "${KEY}"),
}

WRONG = {
    "not set": ("${NONE}", "f:1:4: the environment variable `NONE` is not set"),
    "not closed": ("${KEY", "f:1:4: a `${` is not closed; hint: write $$ for a dollar sign"),
    "no name": ("${}", "f:1:4: `${}` is not a reference; hint: write $$ for a dollar sign"),
    "bad name": ("${A-B}", "f:1:4: `${A-B}` is not a reference; hint: write $$ for a dollar sign"),
    "secret that leads elsewhere": ("${secret:../key}", "f:1:4: `../key` cannot be the name of a secret"),
    "secret without a name": ("${secret:}", "f:1:4: `` cannot be the name of a secret"),
}


def expand(text, tmp_path):
    root = read("f", f"a: '{text}'\n".encode())
    expansion = Expansion(ENVIRON, tmp_path)
    expansion.expand(root)
    return root.plain()["a"], [str(problem) for problem in expansion.problems]


def secret(tmp_path, data: bytes, mode: int = 0o600):
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(("text", "value"), CASES.values(), ids=CASES.keys())
def test_a_reference_is_replaced(text, value, tmp_path):
    assert expand(text, tmp_path) == (value, [])


@pytest.mark.parametrize(("text", "problem"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_replaced_is_a_problem(text, problem, tmp_path):
    assert expand(text, tmp_path)[1] == [problem]


def test_a_secret_is_the_content_of_a_file_without_its_line_end(tmp_path):
    secret(tmp_path, b"  text \r\n\n")
    assert expand("${secret:key}", tmp_path) == ("  text ", [])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777], ids=oct)
def test_a_secret_that_others_can_reach_is_refused(mode, tmp_path):
    path = secret(tmp_path, b"text", mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    text, (problem,) = expand("${secret:key}", tmp_path)
    assert text == ""
    assert problem == f"f:1:4: the secret `key` can be read by others; hint: chmod 600 {path}"


def test_a_secret_that_is_no_text_empty_too_large_or_not_there_is_refused(tmp_path):
    path = tmp_path / "key"
    assert expand("${secret:key}", tmp_path)[1] == [
        f"f:1:4: the secret `key` cannot be read from `{path}`: No such file or directory"
    ]
    secret(tmp_path, b"\xff")
    assert expand("${secret:key}", tmp_path)[1] == [
        f"f:1:4: the secret `key` cannot be read from `{path}`: it is not UTF-8"
    ]
    secret(tmp_path, b"\n")
    assert expand("${secret:key}", tmp_path)[1] == [f"f:1:4: the secret `key` is empty: `{path}`"]
    secret(tmp_path, b"x" * (MAX_SECRET_BYTES + 1))
    (problem,) = expand("${secret:key}", tmp_path)[1]
    assert "is not a file of at most" in problem


def test_keys_are_never_expanded(tmp_path):
    root = read("f", b"'${KEY}': ['${KEY}', {b: '${HOST}'}]\n")
    Expansion(ENVIRON, tmp_path).expand(root)
    assert root.plain() == {"${KEY}": ["value", {"b": "h"}]}
