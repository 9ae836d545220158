"""One study by Optuna's ask and tell: the search, its trials, where its file lies, and the choice at the end."""
