"""Runs suites by Great Expectations and writes its data docs; nothing is sent anywhere or written anywhere else.

`get_context` of Great Expectations would look for projects around the working directory, ask for newer versions and put
data docs below /tmp; here it gets a context of its own, in memory, that does none of it.
"""

import re
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.validation_definition import ValidationDefinition
from great_expectations.data_context import EphemeralDataContext, set_context
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from psm_training.validation.suite import CHECK, Table
from psm_training.validation.verdict import Check

SHOWN: Final = 3
"""Faults that a message names; the data docs have them all."""

LOGO: Final = re.compile(r"https://great-expectations-web-assets[^\"'\s)]*")
"""Their logo, fetched from the makers with the time of the page by whoever opens it."""


class Judge:
    """Judges tables, one after the other.

    Args:
        docs: Folder of the data docs; None: none are written.
    """

    def __init__(self, docs: Path | None) -> None:
        self._docs = docs
        self._context = EphemeralDataContext(
            DataContextConfig(
                analytics_enabled=False,
                data_docs_sites={} if docs is None else {"data docs": _site(docs)},
                progress_bars=ProgressBarsConfig(globally=False),
                store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            )
        )
        set_context(self._context)
        self._source = self._context.data_sources.add_pandas("lake")

    def judge(self, database: duckdb.DuckDBPyConnection, table: Table) -> list[Check]:
        """What the table's suite says; one check per name in it.

        Args:
            database: With the views that the table asks.
            table: None is judged twice.
        """
        set_context(self._context)  # another judge may have been made since
        frame = database.execute(table.query).df()
        batch = self._source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe(table.name)
        suite = self._context.suites.add(
            ExpectationSuite(name=table.name, expectations=[copy(found) for found in table.suite])
        )
        definition = self._context.validation_definitions.add(
            ValidationDefinition(name=table.name, data=batch, suite=suite)
        )
        result = definition.run(
            batch_parameters={"dataframe": frame},
            result_format={
                "result_format": "COMPLETE",
                **({} if table.row is None else {"unexpected_index_column_names": [table.row]}),
            },
        )
        return list(_checks(table, result))

    def write_docs(self) -> None:
        """Writes the data docs of all that was judged."""
        self._context.build_data_docs()
        for page in self._docs.rglob("*.html") if self._docs is not None else ():
            page.write_text(LOGO.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")


def _site(docs: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())},
    }


def _checks(table: Table, result: ExpectationSuiteValidationResult) -> Iterator[Check]:
    """Expectations of one name are one check."""
    layer = table.name.partition(" ")[0]
    named: dict[str, list[tuple[ExpectationConfiguration, ExpectationValidationResult]]] = {}
    for found in result.results:
        config = found.expectation_config
        if config is not None:
            named.setdefault(str((config.meta or {})[CHECK]), []).append((config, found))
    for name, group in named.items():
        failed = [
            f"{config.description}; {_seen(table, config, found)}" for config, found in group if not found.success
        ]
        message = "; ".join(failed or [str(config.description) for config, _ in group])
        yield Check(f"{layer} {name}", not failed, message)


def _seen(table: Table, config: ExpectationConfiguration, found: ExpectationValidationResult) -> str:
    """What the data had instead."""
    result: Mapping[str, Any] = found.result
    if "details" in result:
        missing = set(config.kwargs["column_set"]) - set(result["observed_value"])
        return f"missing: {', '.join(sorted(missing))}"
    if "unexpected_list" not in result:
        return f"it could not be asked: {found.exception_info}"
    if table.row is None:
        faults = [_value(value) for value in result["unexpected_list"]]
    else:
        column = config.kwargs["column"]
        faults = [f"{_value(row[column])} in {row[table.row]}" for row in result["unexpected_index_list"]]
    more = len(faults) - SHOWN
    return "seen: " + ", ".join(faults[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _value(value: Any) -> str:
    """A count as it is, a share with three digits, a word in quotes."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return f"{plain:.0f}" if plain.is_integer() else f"{plain:.3g}"
    return repr(plain)
