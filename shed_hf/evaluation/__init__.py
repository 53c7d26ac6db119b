"""Measuring a trained model on evaluation items: objectives, log-likelihoods, generations and groups of items."""
