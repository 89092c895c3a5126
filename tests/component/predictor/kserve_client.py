"""Asks a predictor with KServe's client; runs in KServe's own environment, question on stdin, answers on stdout.

Called by test_predictor_protocols.py. Imports nothing of this repository.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


def one_tensor(question: dict[str, Any], *, binary: bool) -> list[InferInput]:
    matrix = np.array(question["matrix"], dtype=np.float32)
    tensor = InferInput("features", list(matrix.shape), "FP32")
    tensor.set_data_from_numpy(matrix, binary_data=binary)
    return [tensor]


def tensor_per_feature(question: dict[str, Any], *, binary: bool) -> list[InferInput]:
    tensors = []
    for name, values in question["columns"].items():
        is_text = isinstance(values[0], str)
        column = np.array(values, dtype=np.object_ if is_text else np.float64)
        tensor = InferInput(name, list(column.shape), "BYTES" if is_text else "FP64")
        tensor.set_data_from_numpy(column, binary_data=binary)
        tensors.append(tensor)
    return tensors


async def main() -> None:
    question = json.load(sys.stdin)
    url, model = question["url"], question["model"]
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    told: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model),
        "other_ready": await client.is_model_ready(url, "other"),
        "answers": [],
    }
    for form in (one_tensor, tensor_per_feature):
        for binary in (True, False):
            inputs = form(question, binary=binary)
            request = InferRequest(model, inputs, request_id="basket-17", parameters={"binary_data_output": binary})
            answer = await client.infer(url, request, model_name=model)
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            labels = [word.decode() if isinstance(word, bytes) else word for word in outputs["label"].tolist()]
            told["answers"].append(
                {"id": answer.id, "label": labels, "probabilities": outputs["probabilities"].tolist()}
            )
    wrong = InferInput("features", [1, 2], "FP32", data=[1.0, 2.0])
    try:
        await client.infer(url, InferRequest(model, [wrong]), model_name=model)
    except httpx.HTTPStatusError as err:
        told["error"] = str(err)
    sys.stdout.write(json.dumps(told) + "\n")


asyncio.run(main())
