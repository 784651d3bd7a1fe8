"""MPL, the policy language: what rules say and how they decide.

`vocabulary` has its words as tables, `load` turns files into rules (`nodes`), `interpret` evaluates a condition, `decide`
a request.  Pure: files are bytes, facts are given, nothing here knows the time.
"""
