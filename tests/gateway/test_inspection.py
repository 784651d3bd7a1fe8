"""The evidence on the admin port of a running gateway, of one process or of several."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
CANARY = "canary-a1c2"


def get(gateway: Gateway, path: str, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin_port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in answer.headers
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_are_found_by_whoever_asks_the_admin_port(workers: int, provider: RehearsalThread, tmp_path):
    overrides: dict[str, Any] = {"proxy": {"workers": workers}, "evidence": {"content": "encrypted"}}
    if workers > 1:
        overrides["limits"] = {"default": {"requests_per_minute": None}}
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway:
        for number in range(6):
            with Client(gateway.port) as client:
                answer = client.ask(post(CHAT, chat(f"{CANARY} {number}"), gateway.key))
                assert answer.status == 200
        call = answer.headers["x-jupiter-evidence-id"]

        def ended() -> bool:
            status, found = get(gateway, "/evidence?status=ok&user=alice")
            assert status == 200, found
            return len(found["calls"]) == 6

        assert wait_until(ended, 60)
        status, one = get(gateway, f"/evidence/{call}")
        assert (status, one["call"]["status"]) == (200, "ok")
        assert get(gateway, "/evidence/report?by=model")[1]["total"]["calls"] == 6
        for path in ("/evidence", f"/evidence/{call}", "/evidence/report"):
            assert CANARY not in json.dumps(get(gateway, path)[1])
        assert get(gateway, "/evidence?limit=0x1")[0] == 400
        assert get(gateway, "/evidence/nowhere")[0] == 404


def test_no_page_in_a_browser_can_read_it(gateway: Gateway):
    assert get(gateway, "/evidence")[0] == 200
    assert get(gateway, "/evidence", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert get(gateway, "/evidence", **{"Sec-Fetch-Site": "same-site"})[0] == 403
    assert get(gateway, "/evidence", Host="evil.example")[0] == 403
    assert get(gateway, "/evidence", Host=f"localhost:{gateway.admin_port}")[0] == 200


def test_it_is_on_the_admin_port_and_nowhere_else(gateway: Gateway, client: Client):
    from support.wire import get as get_request

    assert client.ask(get_request("/evidence", gateway.key)).status == 404


def test_nothing_can_be_changed_through_it(gateway: Gateway):
    for method in ("POST", "PUT", "DELETE"):
        request = urllib.request.Request(f"http://127.0.0.1:{gateway.admin_port}/evidence", method=method, data=b"")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=120)
        assert caught.value.code == 405
        caught.value.close()
