"""`python -m jupiter_addons.rehearsal --port 8081`: the rehearsal provider as a process of its own."""

import argparse
import asyncio

from jupiter_addons.rehearsal import behaviour
from jupiter_addons.rehearsal.server import Rehearsal


async def serve(port: int) -> None:
    """Serve until cancelled."""
    provider = Rehearsal()
    await provider.start(port=port)
    print(f"rehearsal provider at http://127.0.0.1:{provider.port}/v1", flush=True)  # noqa: T201 - a program of its own
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m jupiter_addons.rehearsal",
        description=f"A provider that answers deterministically, as OpenAI, Anthropic or Ollama.\n\n{behaviour.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8081, help="where on 127.0.0.1 (8081)")
    asyncio.run(serve(parser.parse_args().port))
