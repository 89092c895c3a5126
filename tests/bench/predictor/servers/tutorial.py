"""FastAPI, pydantic, pandas and scikit-learn, as tutorials put them together."""

import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FIELDS: dict[str, Any] = {
    feature["name"]: (str if feature["kind"] == "category" else float, ...)
    for feature in json.loads(Path("manifest.json").read_bytes())["features"]
}
Basket = create_model("Basket", **FIELDS)


class Request(BaseModel):
    """Some baskets."""

    instances: list[Basket]


app = FastAPI()
model = joblib.load("pipeline.joblib")


@app.post("/predict")
def predict(request: Request) -> dict[str, Any]:
    """Their probabilities."""
    frame = pd.DataFrame([basket.model_dump() for basket in request.instances])
    return {"probabilities": model.predict_proba(frame).tolist()}
