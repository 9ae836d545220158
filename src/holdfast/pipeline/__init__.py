"""The pipeline: data, study, benchmark, best configuration, final training, ONNX. Heavy libraries load where they are used."""
