"""From a URL to a model that answers: fetch -> verify -> load.

Each step takes the type that only the step before it returns:
`fetch(...) -> FetchedArtifact`, `verify(FetchedArtifact) -> VerifiedArtifact`, `load(VerifiedArtifact) -> Model`.
"""
