"""Serves one model package version over HTTP."""
