"""IV: input that is not what it claims to be, at the edge."""

from support.wire import Client

from jupiter_addons.rehearsal.server import RehearsalThread
from ordeal.stage import Stage
from ordeal.suite import row


@row("IV-11", "endless headers, one line of 20 MB", defence="header_limits", short=True)
def endless_headers(stage: Stage) -> None:
    with RehearsalThread(api_key="provider-key") as provider:
        gateway = stage.gateway(provider.port)
        with Client(gateway.port) as client:
            client.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: ")
            try:
                for _ in range(320):
                    client.send(b"a" * 65536)
            except OSError:
                pass  # cut off while sending is what we want
            answer = client.answer()
        assert answer.status == 431, f"answered {answer.status}"
        assert provider.journal.seen == 0
