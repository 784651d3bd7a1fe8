"""What outlives the process, and the only importers of database clients.

The rules live in the core; here are only files, transactions and what can go wrong with them.  Every failure is a
StoreError that says what to look at.
"""
