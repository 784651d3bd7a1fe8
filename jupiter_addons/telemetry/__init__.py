"""What operators see: metrics, log lines, and the admin port that serves the first.

Nothing here decides anything, and no fault here may refuse a request.
"""
