"""Files and a directory: the durable store. Knows no Colab, no notebook, no machine learning."""
