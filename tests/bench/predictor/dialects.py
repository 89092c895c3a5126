"""How each contestant wants to be asked, and where in its answer the probabilities are.

Every dialect carries the same information as its server's documentation shows it: all features of every basket.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.predictor.subject import Basket

Probabilities = list[list[float]]


@dataclass(frozen=True)
class Dialect:
    """A request's document and its answer's.

    Attributes:
        ask: Baskets -> document.
        read: Answer -> [baskets, classes].
    """

    ask: Callable[[Sequence[Basket]], Any]
    read: Callable[[Any], Probabilities]


def _rows(baskets: Sequence[Basket]) -> list[Any]:
    return [basket.words for basket in baskets]


def _columns(baskets: Sequence[Basket]) -> dict[str, list[Any]]:
    return {name: [basket.words[name] for basket in baskets] for name in baskets[0].words}


def _ask_psm(baskets: Sequence[Basket]) -> Any:
    return {"instances": _rows(baskets)} if len(baskets) > 1 else baskets[0].words


def _read_psm(answer: Any) -> Probabilities:
    return [list(one["probabilities"].values()) for one in answer.get("predictions", [answer])]


def _ask_tensor(baskets: Sequence[Basket]) -> Any:
    width = len(baskets[0].numbers)
    data = [number for basket in baskets for number in basket.numbers]
    return {"inputs": [{"name": "features", "shape": [len(baskets), width], "datatype": "FP32", "data": data}]}


def _ask_columns_v2(baskets: Sequence[Basket]) -> Any:
    inputs = [
        {
            "name": name,
            "shape": [len(column), 1],
            "datatype": "BYTES" if isinstance(column[0], str) else "FP64",
            "data": column,
        }
        for name, column in _columns(baskets).items()
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def _read_v2(answer: Any) -> Probabilities:
    """The one output of two dimensions, flat or nested."""
    output = next(output for output in answer["outputs"] if len(output["shape"]) > 1)
    rows, width = output["shape"]
    data = output["data"]
    return data if isinstance(data[0], list) else [data[row * width : (row + 1) * width] for row in range(rows)]


def _ask_split(baskets: Sequence[Basket]) -> Any:
    return {
        "dataframe_split": {
            "columns": list(baskets[0].words),
            "data": [list(basket.words.values()) for basket in baskets],
        }
    }


PSM: Final = Dialect(_ask_psm, _read_psm)
TENSOR: Final = Dialect(_ask_tensor, _read_v2)
"""Open Inference Protocol, one tensor, categories encoded by the client: the least that a server can be given to do."""
COLUMNS_V2: Final = Dialect(_ask_columns_v2, _read_v2)
"""Open Inference Protocol, one input per feature, decoded as a DataFrame: MLServer's documentation."""
COLUMNS_V1: Final = Dialect(lambda baskets: {"instances": [_columns(baskets)]}, lambda answer: answer["predictions"])
"""KServe's first protocol; its sklearn server makes a DataFrame of it."""
SPLIT: Final = Dialect(_ask_split, lambda answer: answer["predictions"])
"""MLflow's documentation."""
RECORDS: Final = Dialect(lambda baskets: {"instances": _rows(baskets)}, lambda answer: answer["probabilities"])
"""What the servers whose routes are one's own are given."""
FRAME: Final = Dialect(lambda baskets: {"baskets": _rows(baskets)}, lambda answer: answer)
"""BentoML: a DataFrame parameter named baskets, an array as the answer."""
