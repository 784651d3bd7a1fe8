"""Knobs are read from the text, and taken out of it."""

from jupiter_addons.rehearsal.behaviour import Behaviour, parse


def test_knobs_of_each_kind():
    found, text = parse("say [[status=503]] this [[no_done]] [[say=a b]] [[delay_ms=x]][[unknown]]")
    assert found == Behaviour(status=503, no_done=True, say="a b", delay_ms=0)
    assert text == "say  this   [[unknown]]"
