"""Start a declared list of processes in order, keep them, stop them in reverse.

`plan` is the declaration, `keeper` the process that owns the children, `instance` the handle by which other processes
start, find and stop a keeper.
"""
