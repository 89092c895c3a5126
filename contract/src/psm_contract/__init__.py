"""What the operator, the predictor and the training pipeline agree on; imports none of them."""
