"""Why a basket got its answer: what each feature contributed, exact for trees.

    TreeEnsemble -> LightGBM's model text -> LightGBM's TreeSHAP

Off the hot path: nothing here is imported before the first request that asks for it. Needs `psm-predictor[explain]`.
"""
