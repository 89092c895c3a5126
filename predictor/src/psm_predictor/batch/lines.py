"""Till lines, grouped by BASKET_ID -> chunks. A basket is judged as one `lines` request of POST /predict is.

Only whole baskets leave here; the last one of a piece waits for the next piece. A basket next to a line that could not
be read, or that names no basket, is refused: the line may have been its own, and half a basket gets a wrong answer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psm_contract.features import CONTEXT, Lines, basket_features
from psm_contract.schema import ALIASES, calendar_fault
from psm_contract.tables import LEVELS, UNKNOWN, CodeColumn
from psm_predictor.batch.baskets import BASKET_ID, Baskets, Grouping
from psm_predictor.batch.chunk import Chunk, Piece, Refused
from psm_predictor.batch.columns import Mask, Numbers, Rule, plain_value
from psm_predictor.batch.instances import ROW, explained
from psm_predictor.findings import finding, findings
from psm_predictor.model import Model
from psm_predictor.request import Form as BodyForm
from psm_predictor.request import RequestSchemas, line_findings

_LINES: Final = "lines"
_PRODUCT: Final = LEVELS[0]
_ALSO: Final = {meant: name for name, meant in ALIASES.items()}
"""What the vendor also calls a column."""


class LineForm:
    """One till line a row; the answer is one row per basket."""

    def __init__(
        self,
        model: Model,
        schemas: RequestSchemas,
        given: pa.Schema,
        keep: Sequence[str] | None,
        *,
        is_text_file: bool,
        is_sorted: bool,
    ) -> None:
        self._tables = model.tables
        self._document = schemas.predict[BodyForm.LINES]
        lines = self._document["properties"][_LINES]
        self._most_lines: int = lines["maxItems"]
        properties, required = lines["items"]["properties"], frozenset(lines["items"]["required"])
        present = [name for name in given.names if name in properties]
        self._rules = {name: Rule.of(name, properties[name], required=name in required) for name in present}
        for name, rule in self._rules.items():
            rule.check_type(given.field(name).type, is_text_file=is_text_file or name == BASKET_ID)
        self._judged = [rule for name, rule in self._rules.items() if name != BASKET_ID]
        self._carried = list(keep or ())
        self._is_sorted = is_sorted
        self.columns = tuple(dict.fromkeys([*present, *self._carried]))
        fields = [pa.field(ROW, pa.int64()), pa.field(BASKET_ID, pa.int64()), pa.field(_LINES, pa.int32())]
        self.keys = pa.schema([*fields, *(given.field(name) for name in self._carried if name != BASKET_ID)])
        ignored = [name for name in given.names if name not in self.columns]
        self.notes: tuple[str, ...] = (f"no columns of till lines, not read: {', '.join(ignored)}",) if ignored else ()

    def chunks(self, pieces: Iterator[Piece]) -> Iterator[Chunk]:
        """Chunks of whole baskets."""
        grouping = Grouping(self._most_lines, is_sorted=self._is_sorted)
        return (self._chunk(baskets) for baskets in grouping.baskets(pieces))

    def _chunk(self, baskets: Baskets) -> Chunk:
        numbers, texts, bad_line = self._judge(baskets.batch)
        bad = baskets.bad_if(bad_line)
        refused = [self._refused(baskets, int(basket)) for basket in np.flatnonzero(bad)]
        kept = baskets.lines_of(~bad)
        lengths = baskets.lengths[~bad]
        starts = np.cumsum(lengths) - lengths
        columns = {name: pc.filter(column, pa.array(kept)) for name, column in texts.items()}
        numbers = {name: column[kept] for name, column in numbers.items()}
        lines, unknown = self._lines(starts, numbers, columns)
        first = pa.array(baskets.starts[~bad])
        carried = (baskets.batch.column(name).take(first) for name in self.keys.names[3:])
        key_arrays = [pa.array(baskets.rows[baskets.starts[~bad]]), pa.array(baskets.ids[~bad])]
        return Chunk(
            rows_read=baskets.rows_read,
            keys=pa.RecordBatch.from_arrays(
                [*key_arrays, pa.array(lengths.astype(np.int32)), *carried], schema=self.keys
            ),
            matrix=basket_features(lines, self._tables),
            refused=[*baskets.refused, *refused],
            unknown=unknown,
        )

    def _judge(self, batch: pa.RecordBatch) -> tuple[dict[str, Numbers], dict[str, pa.Array], Mask]:
        """Numbers and texts by column, and which lines are bad."""
        numbers: dict[str, Numbers] = {}
        texts: dict[str, pa.Array] = {}
        bad = np.zeros(len(batch), dtype=np.bool_)
        for rule in self._judged:
            column = batch.column(rule.name)
            if rule.is_text:
                texts[rule.name], at_fault = rule.texts(column)
            else:
                numbers[rule.name], at_fault = rule.numbers(column)
            bad |= at_fault
        return numbers, texts, bad | _off_the_calendar(numbers, ~bad)

    def _lines(
        self, starts: Any, numbers: dict[str, Numbers], texts: dict[str, pa.Array]
    ) -> tuple[Lines, Counter[str]]:
        """The good baskets as columns, and what training did not know."""
        count = len(numbers["QUANTITY"])
        codes: list[CodeColumn] = [texts[level].to_pylist() if level in texts else [None] * count for level in LEVELS]
        first = pa.array(starts)
        context: dict[str, list[Any]] = {}
        for spec in CONTEXT:
            source = spec.source or ""
            source = source if source in self._rules else _ALSO.get(source, source)
            if source in texts:
                context[spec.source or ""] = texts[source].take(first).to_pylist()
            elif source in numbers:
                values = numbers[source][starts].tolist()
                context[spec.source or ""] = [None if value != value else value for value in values]  # noqa: PLR0124  # NaN
        lines = Lines(
            starts=starts,
            quantity=numbers["QUANTITY"],
            spend=numbers["SPEND"],
            codes=(codes[0], codes[1], codes[2], codes[3]),
            context=context,
        )
        return lines, self._unknown(codes[0], context)

    def _unknown(self, products: CodeColumn, context: dict[str, list[Any]]) -> Counter[str]:
        unknown = Counter({_PRODUCT: int(np.count_nonzero(self._tables.known(0, products) == UNKNOWN))})
        categories = (spec for spec in CONTEXT if spec.kind == "category")
        for spec, words in zip(categories, self._tables.vocabularies, strict=True):
            given = context.get(spec.source or "", ())
            unknown[spec.name] += sum(value is not None and value not in words for value in given)
        return unknown

    def _refused(self, baskets: Baskets, basket: int) -> Refused:
        start, length = int(baskets.starts[basket]), int(baskets.lengths[basket])
        number, row = int(baskets.ids[basket]), int(baskets.rows[start])
        if too_many := baskets.too_many(basket):
            message = f"must have 1 to {self._most_lines} items, it has {too_many}"
            return Refused(row, [finding("wrong_length", (_LINES,), message, f"{too_many} items")], number)
        if baskets.incomplete[basket]:
            message = "may be incomplete: a line before or after it could not be read or names no basket"
            return Refused(row, [finding("incomplete", (_LINES,), message, f"{length} items")], number)
        rows = baskets.batch.slice(start, length).select(list(self._rules)).to_pylist()
        lines = [{name: plain_value(self._rules[name], value) for name, value in line.items()} for line in rows]
        found = findings({_LINES: lines}, self._document)
        return Refused(row, explained(found or line_findings(lines)), number)


def _off_the_calendar(numbers: dict[str, Numbers], judged: Mask) -> Mask:
    """Which lines have a day that cannot be."""
    bad: Mask = np.zeros(len(judged), dtype=np.bool_)
    given = [numbers[name] if name in numbers else np.full(len(judged), np.nan) for name in ("SHOP_WEEK", "SHOP_DATE")]
    pairs = np.where(np.isnan(given), -1, given)[:, judged].astype(np.int64)
    found, places = np.unique(pairs, axis=1, return_inverse=True)
    faults = [
        calendar_fault(*(None if value < 0 else value for value in pair)) is not None for pair in found.T.tolist()
    ]
    bad[judged] = np.array(faults, dtype=np.bool_)[places.ravel()]
    return bad
