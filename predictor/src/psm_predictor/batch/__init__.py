"""`psm-predict batch`: answers for a whole file in constant memory.

    read -> judge -> answer -> write

`files` streams record batches, `instances` and `lines` turn them into chunks (a matrix and what was refused), the model
answers, `output` writes. Judges rows by the very schemas of POST /predict. Needs the extra `psm-predictor[batch]`.
"""
