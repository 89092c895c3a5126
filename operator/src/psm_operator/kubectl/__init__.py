"""`kubectl psm`: looks at models and moves them, for people at a terminal.

An edge like `__main__`: it may import anything below, and nothing imports it. Heavy modules (pydantic, boto3) are imported by the
commands that need them, so that `--help` and `status` answer at once.
"""
