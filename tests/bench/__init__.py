"""The benchmark: what our host and a governed call cost, against stock mitmdump in the same run.

CPU time comes from /proc/PID/stat of the proxy process, not from a clock on the wall: machines are shared.  Rounds of the
variants are interleaved, and a figure is the ratio of the medians.  Everything runs on loopback and ends by itself.

`upstream` answers, `load` asks, `processes` starts what is measured, `figures` measures, `bare` is our host with nothing in it.
"""
