"""Fine-tuning with TRL and a LoRA adapter of PEFT, as in their tutorials, saved by the library's own means. It loses work."""

import random
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model_state_dict
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
WORDS = ["<pad>", "<eos>", "plus", "is", *NUMBERS]

draw = random.Random(1)  # noqa: S311
pairs = [(draw.randrange(5), draw.randrange(5)) for _ in range(160)]
data = Dataset.from_dict({"text": [f"{NUMBERS[a]} plus {NUMBERS[b]} is {NUMBERS[a + b + 1]}" for a, b in pairs]})

vocabulary = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[0]))
vocabulary.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token=WORDS[0], eos_token=WORDS[1])

set_seed(7)
size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), max_position_embeddings=32, pad_token_id=0, eos_token_id=1, **size))


class Slow(TrainerCallback):
    """A larger model."""

    def on_step_end(self, args, state, control, **kwargs):
        """Each step takes longer."""
        time.sleep(0.06)


trainer = SFTTrainer(
    model,
    args=SFTConfig(
        output_dir="outputs/run",
        num_train_epochs=15,
        per_device_train_batch_size=4,
        learning_rate=5e-3,
        save_strategy="epoch",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=False,
    ),
    train_dataset=data,
    processing_class=tokenizer,
    peft_config=LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    callbacks=[Slow()],
)
trainer.train(resume_from_checkpoint=any(Path("outputs").glob("run/checkpoint-*")))

Path("outputs").mkdir(exist_ok=True)
torch.save(get_peft_model_state_dict(trainer.model), "outputs/adapter.pt")
