"""One run: every basket of a file answered, or its refusal explained."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from psm_predictor.batch.chunk import Form
from psm_predictor.batch.errors import InputError
from psm_predictor.batch.files import Source, open_source
from psm_predictor.batch.instances import InstanceForm, check_names
from psm_predictor.batch.lines import LineForm
from psm_predictor.batch.output import Output, check_places
from psm_predictor.batch.progress import Progress
from psm_predictor.model import Model
from psm_predictor.request import RequestSchemas
from psm_predictor.settings import RequestLimits

LINE_COLUMNS = ("BASKET_ID", "PROD_CODE", "QUANTITY", "SPEND")
"""A file that has all of these holds till lines."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to read and to write.

    Attributes:
        source: The input.
        output: The answers.
        refused: The refused rows; exists afterwards only if there are any.
        keep: Columns to carry along; None: all that are no features, and none of till lines.
        is_sorted: Whether till lines must be sorted by BASKET_ID, so that a basket in two places is noticed.
        limits: Of a basket's lines.
        about: What the output says of its origin, where its format can.
    """

    source: Path
    output: Path
    refused: Path
    keep: tuple[str, ...] | None
    is_sorted: bool
    limits: RequestLimits
    about: dict[str, str]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Attributes:
        rows: Rows read.
        answered: Baskets answered.
        refused: Rows or baskets refused.
        labels: Baskets by label.
        unknown: How often training did not know a product or a category's word, by feature.
        seconds: Duration, loading of the model not included.
    """

    rows: int
    answered: int
    refused: int
    labels: dict[str, int]
    unknown: dict[str, int]
    seconds: float


def run(
    job: Job,
    model: Model,
    say: TextIO = sys.stderr,
    clock: Callable[[], float] = time.monotonic,
    go_on: Callable[[], None] = lambda: None,
) -> Summary:
    """Answers the whole file; both outputs appear at the end, complete.

    Args:
        job: What to do.
        model: Which answers.
        say: Where progress goes.
        clock: In seconds.
        go_on: Called after each piece; what it raises ends the run.

    Raises:
        InputError: The input is not what it should be; nothing was written.
    """
    check_places(job.source, job.output, job.refused)
    source = open_source(job.source)
    form = _form(job, model, source)
    say.writelines(f"note: {note}\n" for note in form.notes)
    started = clock()
    progress = Progress(say, source.total, clock)
    rows, refused = 0, 0
    labels = np.zeros(len(model.manifest.classes), dtype=np.int64)
    unknown: Counter[str] = Counter()
    with Output(job.output, job.refused, form.keys, model.manifest.classes, job.about) as output:
        for chunk in form.chunks(source.pieces(form.columns)):
            if len(chunk.matrix):
                probabilities = model.probabilities(chunk.matrix)
                found = probabilities.argmax(axis=1)
                labels += np.bincount(found, minlength=len(labels))
                output.answered(chunk.keys, probabilities, found)
            output.refused(chunk.refused)
            rows, refused = rows + chunk.rows_read, refused + len(chunk.refused)
            unknown += chunk.unknown
            progress.advance(chunk.rows_read, len(chunk.refused))
            go_on()
        output.commit()
    progress.clear()
    return Summary(
        rows=rows,
        answered=int(labels.sum()),
        refused=refused,
        labels=dict(zip(model.manifest.classes, labels.tolist(), strict=True)),
        unknown=dict(unknown),
        seconds=clock() - started,
    )


def _form(job: Job, model: Model, source: Source) -> Form:
    """Till lines if the file has their columns, else ready features."""
    check_names(job.keep or (), source.schema)
    schemas = RequestSchemas(model.manifest.features, job.limits)
    given, keep = source.schema, job.keep
    if set(LINE_COLUMNS) <= set(given.names):
        return LineForm(model, schemas, given, keep, is_text_file=source.is_text, is_sorted=job.is_sorted)
    required: list[str] = schemas.instance["required"]
    if absent := [name for name in required if name not in given.names]:
        raise InputError(
            f"{job.source} holds neither ready features (no column {', '.join(absent)}) nor till lines (which have "
            f"{', '.join(LINE_COLUMNS)}); its columns are {', '.join(given.names)}"
        )
    return InstanceForm(model, schemas, given, keep, is_text_file=source.is_text)
