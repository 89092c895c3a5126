"""What answers a matrix of features: `trees` (our kernel), `onnx` (onnxruntime), `joblib` (scikit-learn itself).

Each module is imported only by a process that uses it; `choose` picks one. An engine raises ValueError where its part
of the archive does not load, and has answered nothing yet then.
"""
