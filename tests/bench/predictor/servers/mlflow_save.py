"""Saves the pipeline as MLflow serves it."""

import shutil
import sys

import joblib
import mlflow

if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    mlflow.sklearn.save_model(
        joblib.load("pipeline.joblib"),
        sys.argv[1],
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",  # its default, skops, wants every type of a tree to be trusted by name
    )
