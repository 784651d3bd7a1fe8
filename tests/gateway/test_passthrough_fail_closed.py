"""Whatever breaks while something is passed on: nothing goes out undecided, and no answer looks whole that is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import faults
from support.forms import recording
from support.gateway import Setup, start_gateway
from support.passing import Bench, settings, upload
from support.wire import Client, get, post

from jupiter_addons.rehearsal.server import RehearsalThread

BEFORE = ("Parse", "Enrich", "Decide", "Amend", "PlanRoute", "Reserve", "Translate", "TakeLease", "Commit")


@pytest.fixture(scope="module")
def fault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fault") / "fault"


@pytest.fixture(scope="module")
def bench(provider: RehearsalThread, fault: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    setup = Setup(
        overrides=settings(provider),
        preamble=Path(faults.__file__),
        environment={"TEST_FAULT_FILE": str(fault)},
    )
    with start_gateway(tmp_path_factory.mktemp("broken"), provider.port, setup) as gateway:
        yield Bench(gateway, provider)


@pytest.fixture(autouse=True)
def mended(fault: Path) -> Iterator[None]:
    yield
    fault.unlink(missing_ok=True)


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("stage", BEFORE)
def test_nothing_is_sent_past_a_stage_that_fails(bench: Bench, fault: Path, stage: str, where: str):
    seen = bench.provider.journal.seen
    fault.write_text(f"{where}:{stage}.request:exception")
    for request, door in (
        (upload("/v1/audio/transcriptions", recording(), bench.gateway.key), "gateway"),
        (get("/v1/files/file-1/content", bench.gateway.key), "gateway"),
        (post("/v1/echo", b"x", "own"), "intercept"),
    ):
        answer = bench.ask(request, door)
        assert answer.status == 503, answer.body
        assert answer.code == "gateway_fault"
    assert bench.provider.journal.seen == seen


@pytest.mark.parametrize(
    "place",
    ["relay:PieceRelay.feed", "relay:PieceRelay.drain", "relay:PieceRelay.finish", "inside:ReadReply.responseheaders",
     "outside:ReadReply.responseheaders", "inside:Screen.responseheaders", "inside:Record.response", "outside:Record.response",
     "inside:Settle.response", "outside:Settle.response"],
)  # fmt: skip
def test_no_answer_looks_whole_that_is_not_on_record(bench: Bench, fault: Path, place: str):
    fault.write_text(f"{place}:exception")
    request = post("/v1/audio/speech", {"model": "rehearsal-1", "input": "a b c"}, bench.gateway.key)
    with Client(bench.gateway.port) as client:
        try:
            answer = client.ask(request)
        except ConnectionError:
            return
    assert answer.status == 503, (answer.status, answer.body)
