"""How much is too much: limits, the windows they are counted in, and the ledger that takes all or nothing.

Pure: time is an argument, in monotonic nanoseconds, so that a wall clock set back or forward moves no limit.
"""
