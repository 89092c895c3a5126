"""The report for people, `psm-train report`: it runs beside the training and cannot change a model.

What decides an outcome, the evaluation document and its intervals, is in `model_quality` and `households`.
"""

from psm_training.households import evaluation
from psm_training.model_quality import DRAWS, KPIS, ROOT, document_of, metrics_of

__all__ = ["DRAWS", "KPIS", "ROOT", "document_of", "evaluation", "metrics_of"]
