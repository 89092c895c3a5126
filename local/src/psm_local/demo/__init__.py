"""`make demo`: the whole product on real Kubernetes, told as a story whose every step is checked and timed."""
