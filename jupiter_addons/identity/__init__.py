"""Who may call: keys, the principals behind them, and where a request carries its credentials.

Pure: which keys exist is given, and so is the time.
"""
