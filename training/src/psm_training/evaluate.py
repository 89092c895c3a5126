"""Step 6: how good is the model on baskets of other households in later weeks.

Writes predictions.npz (`models.predictions`) and evaluation.json (`report.evaluation`), with intervals that come from
drawing households.
"""

from psm_contract.schema import CLASSES
from psm_training.models.predictions import predict
from psm_training.recipes import Recipe
from psm_training.report import ROOT, evaluation, metrics_of
from psm_training.split import TEST, VALID
from psm_training.workspace import Workspace, write_json


def evaluate(space: Workspace, recipe: Recipe) -> str:
    """Writes predictions.npz and evaluation.json.

    Returns:
        One line for the user.
    """
    files, answers = space.of(recipe.name), predict(space, recipe)
    test, valid = (evaluation(part.label, part.predicted, part.household) for part in (answers[TEST], answers[VALID]))
    document = {**test, "validation_households": metrics_of(valid)}
    write_json(files.evaluation, document)
    metrics, interval = metrics_of(document), document[ROOT]["accuracy"]["confidence_interval_95"]
    return (
        f"accuracy {metrics['accuracy']:.3f} ({interval[0]:.3f}-{interval[1]:.3f}), macro F1 {metrics['macro_f1']:.3f}, "
        "precision " + " ".join(f"{name} {metrics[f'precision_{name}']:.2f}" for name in CLASSES)
    )
