"""What a call is worth before it is made and after: tokens, prices, estimates, charges.

Pure, but for the price library's snapshot, which is read once at start and never from the network.
"""
