"""The model as ONNX: what serves a model that is no ensemble of trees, and can serve any."""

from typing import Any, Final

import numpy as np
from onnx import ModelProto, TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from psm_contract.manifest import ONNX_INPUT, ONNX_PROBABILITIES
from psm_contract.trees import TreeEnsemble

OPSET: Final = {"": 17, "ai.onnx.ml": 3}
"""Old enough for every onnxruntime since 1.13."""

_NAME: Final = "price-sensitivity"
"""Of the graph: the default would be random."""


def onnx_form(estimator: Any, trees: TreeEnsemble | None) -> bytes:
    """The model's bytes; the same model gives the same bytes.

    Args:
        estimator: A fitted classifier.
        trees: The same as flat arrays, if it is an ensemble of trees.

    Raises:
        RuntimeError: It is no ensemble of trees, and skl2onnx does not know it.
    """
    model = _of_estimator(estimator) if trees is None else _of_trees(trees)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def _of_estimator(estimator: Any) -> ModelProto:
    model: ModelProto = to_onnx(
        estimator,
        initial_types=[(ONNX_INPUT, FloatTensorType([None, estimator.n_features_in_]))],
        options={id(estimator): {"zipmap": False}},
        target_opset=OPSET,
        name=_NAME,
    )
    return model


def _of_trees(trees: TreeEnsemble) -> ModelProto:
    """One operator over the flat arrays: skl2onnx knows fewer libraries, and not every version of those it knows."""
    tree = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    number = np.arange(len(tree)) - trees.roots[tree]
    left = number + trees.left - np.arange(len(tree))
    leaf_tree, leaf_number = (np.repeat(column[trees.is_leaf], trees.classes) for column in (tree, number))
    node = helper.make_node(
        "TreeEnsembleClassifier",
        [ONNX_INPUT],
        ["label", ONNX_PROBABILITIES],
        domain="ai.onnx.ml",
        nodes_treeids=tree.tolist(),
        nodes_nodeids=number.tolist(),
        nodes_featureids=np.where(trees.is_leaf, 0, trees.feature).tolist(),
        nodes_values=trees.threshold.tolist(),
        nodes_modes=["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in trees.is_leaf.tolist()],
        nodes_truenodeids=np.where(trees.is_leaf, 0, left).tolist(),
        nodes_falsenodeids=np.where(trees.is_leaf, 0, left + 1).tolist(),
        class_treeids=leaf_tree.tolist(),
        class_nodeids=leaf_number.tolist(),
        class_ids=np.tile(np.arange(trees.classes), len(trees.value)).tolist(),
        class_weights=trees.value.ravel().tolist(),
        classlabels_int64s=list(range(trees.classes)),
        base_values=trees.base.tolist(),
        post_transform="SOFTMAX" if trees.link == "softmax" else "NONE",
    )
    graph = helper.make_graph(
        [node],
        _NAME,
        [helper.make_tensor_value_info(ONNX_INPUT, TensorProto.FLOAT, [None, trees.columns])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info(ONNX_PROBABILITIES, TensorProto.FLOAT, [None, trees.classes]),
        ],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSET.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
