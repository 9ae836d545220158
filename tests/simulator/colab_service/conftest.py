from tests.colab_command import colab_program, service

__all__ = ["colab_program", "service"]
