"""Where else results go: MLflow, Weights & Biases, and datasets of the Hugging Face hub, each through an extra."""
