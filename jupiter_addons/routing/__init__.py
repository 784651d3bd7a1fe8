"""Where a call can go: providers as configured, and the plan that orders those that offer a model.

Pure: the dice are an argument, and addresses come from the configuration only, never from a request.
"""
