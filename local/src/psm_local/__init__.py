"""Starts real Kubernetes without Docker, AWS emulation and the demo; development only."""
