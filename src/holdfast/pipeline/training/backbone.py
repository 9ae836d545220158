"""Loading encoders: the same code for a name on the hub, a local folder, and `tiny`."""

from __future__ import annotations

import contextlib
import logging as std_logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Names under which architectures of `transformers` keep their dropout rates.
DROPOUT_KEYS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "hidden_dropout",
    "attention_dropout",
    "dropout",
    "classifier_dropout",
    "seq_classif_dropout",
    "embd_pdrop",
    "resid_pdrop",
    "attn_pdrop",
    "embedding_dropout",
    "mlp_dropout",
)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without notices such as "some weights are newly initialised", which a new head always causes, and the hub's "retrying"."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub = std_logging.getLogger("huggingface_hub")
    before = hub.level
    hub.setLevel(std_logging.ERROR)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        hub.setLevel(before)
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(model: str) -> Any:
    """The fast tokenizer of a backbone, as `transformers` has it.

    Raises:
        ConfigurationError: there is none, or the hub cannot be reached.
    """
    from transformers import AutoTokenizer

    with quiet_transformers(), _explained(model):
        tokenizer = AutoTokenizer.from_pretrained(model, use_fast=True)
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigurationError(
            f"backbone {model}: has no fast tokenizer, and only that one tells where in the text a piece stands"
        )
    return tokenizer


def raw_tokenizer(tokenizer: Any) -> Tokenizer:
    """The `tokenizers` object below a fast tokenizer."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())


def load_model(model: str, tags: Sequence[str], *, seed: int, dropout: float | None = None) -> Any:
    """A token classifier over `tags` on a backbone, in float32. What has no weights yet is drawn with `seed`.

    Raises:
        ConfigurationError: it cannot be loaded, or a dropout is configured that the architecture does not have.
    """
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification, set_seed

    with quiet_transformers(), _explained(model):
        labels = {"id2label": dict(enumerate(tags)), "label2id": {t: i for i, t in enumerate(tags)}}
        config = AutoConfig.from_pretrained(model, num_labels=len(tags), **labels)
        if dropout is not None:
            known = [k for k in DROPOUT_KEYS if hasattr(config, k)]
            if not known:
                raise ConfigurationError(f"backbone {model}: training.dropout is set, and this architecture has none; leave it out")
            for key in known:
                setattr(config, key, dropout)
        set_seed(seed)
        if _has_weights(model):
            return AutoModelForTokenClassification.from_pretrained(model, config=config, dtype=torch.float32)
        return AutoModelForTokenClassification.from_config(config, dtype=torch.float32)


def _has_weights(model: str) -> bool:
    from pathlib import Path

    folder = Path(model)
    if not folder.is_dir():
        return True  # a name on the hub
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        if isinstance(error, ConfigurationError):
            raise
        detail = " ".join(str(error).split())
        if "http" in detail:  # a page of advice with addresses in it
            detail = "there is no such folder, and the hub does not answer or does not have it"
        detail = detail if len(detail) <= 200 else detail[:200] + "..."
        raise ConfigurationError(
            f"backbone {model}: cannot be loaded ({detail}); give a name that the hub has, a local `transformers` folder, or `tiny`"
        ) from error
