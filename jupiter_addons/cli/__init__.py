"""The command line: one file a group of commands, found by name in `main`, imported only when asked for."""
