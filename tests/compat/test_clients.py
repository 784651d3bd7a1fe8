"""The table of clients is one: pinned, known by its calls, and each row has its program."""

import re

import pytest

from compat.clients import TABLE, load, select
from compat.installs import ROOT, home_of

CLIENTS, NODE = load(TABLE.read_text())
ENTRY = '[[client]]\nid = "x"\nname = "X, y"\npackages = ["x==1.2"]\nlanguage = "python"\nprogram = "p.py"\napi = "ollama"\n'


def test_every_package_is_pinned_exactly():
    pins = [package for client in CLIENTS for package in client.packages]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==\d[\w.]*|(?:@[\w.-]+/)?[\w.-]+@\d[\w.]*", pin)] == []
    assert re.fullmatch(r"\d+\.\d+\.\d+", NODE)


def test_every_program_is_there():
    folders = {"python": "tests/clients", "agent": "tests/clients", "node": "tests/clients/node"}
    assert [one.program for one in CLIENTS if not (ROOT / folders[one.language] / one.program).exists()] == []


def test_the_clients_of_the_issue_are_there():
    names = " ".join(client.title for client in CLIENTS)
    for name in (
        "openai Python 1.",
        "openai Node 4.",
        "anthropic Python 0.",
        "anthropic Node 0.",
        "LangChain",
        "LiteLLM",
    ):
        assert name in names
    for name in ("Vercel AI SDK", "llm (CLI)", "ollama Python", "Claude Code", "Codex"):
        assert name in names


def test_what_a_client_cannot_is_one_of_the_calls():
    assert load(f'node = "1"\n{ENTRY}cannot = {{images = "why"}}')[0][0].cannot == {"images": "why"}
    with pytest.raises(ValueError, match="no such call: image"):
        load(f'node = "1"\n{ENTRY}cannot = {{image = "why"}}')
    with pytest.raises(ValueError, match="same id"):
        load(f'node = "1"\n{ENTRY}{ENTRY}')


def test_the_version_is_that_of_the_first_package_and_stands_behind_the_name():
    (client,), _ = load(f'node = "1"\n{ENTRY}')
    assert client.title == "X 1.2, y"
    assert home_of(("c==3", "@a/b@1.2")).name == home_of(("@a/b@1.2", "c==3")).name == "a-b@1.2+c@3"


def test_clients_are_chosen_by_how_their_ids_begin():
    assert {client.id for client in select(CLIENTS, ["codex", "langchain"])} == {
        "codex",
        "langchain-openai",
        "langchain-anthropic",
        "langchain-ollama",
    }
    with pytest.raises(LookupError, match="nobody"):
        select(CLIENTS, ["nobody"])
