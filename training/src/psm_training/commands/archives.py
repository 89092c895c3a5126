"""The archive of a model that an option names: a file, or a version of the registry."""

import argparse

from psm_training.commands.options import registry_of
from psm_training.errors import PipelineError
from psm_training.settings import Settings


def archive_of(options: argparse.Namespace, settings: Settings) -> bytes:
    """The bytes of model.tar.gz by `--model` or `--version`.

    Raises:
        PipelineError: There is no such file or object.
    """
    if options.model is not None:
        if not options.model.is_file():
            raise PipelineError(f"{options.model} does not exist; name a model.tar.gz")
        content: bytes = options.model.read_bytes()
        return content
    registry = registry_of(options, settings)
    url = registry.details(registry.find(options.group, options.version)).folder + "/model.tar.gz"
    stored = registry.get(url)
    if stored is None:
        raise PipelineError(f"there is no {url}; name the archive with --model")
    return stored.content
