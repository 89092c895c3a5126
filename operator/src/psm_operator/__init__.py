"""Watches PriceSensitivityModel resources and keeps their predictors true to the registry."""
