"""Every dialect has all its readers."""

from typing import get_args

import pytest

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.registry import PARSERS, REPLIES, STREAM_READERS, WIRES
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.errors import UpstreamError


def test_the_tables_are_complete():
    names = set(get_args(DialectName))
    assert set(PARSERS) == set(REPLIES) == set(STREAM_READERS) == set(WIRES) == names


def test_a_stream_of_what_is_never_streamed_is_refused():
    for dialect in ("openai_embeddings", "anthropic_count_tokens", "ollama_embed"):
        reader = STREAM_READERS[dialect](keep_text=False)
        assert not reader.reply().complete
        with pytest.raises(UpstreamError):
            reader.read(Frame(b"", "", b"{}"))
