"""Write what the `adapters` library writes, and what it computes: run by an environment that has it.

``python write_adapterhub.py FOLDER`` makes a small random BERT (``FOLDER/model``), adapters with random
weights of several architectures (``FOLDER/ARCHITECTURE``), one of them as a pickle too, and
``FOLDER/expected.safetensors``: token ids, mask, and the final states under each.
"""

import json
import sys
from pathlib import Path

import adapters
import torch
from adapters.composition import Stack
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

CONFIG = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "type_vocab_size": 2,
}
ARCHITECTURES = {
    "seq_bn_inv": adapters.SeqBnInvConfig(reduction_factor=4),
    "seq_bn": adapters.SeqBnConfig(reduction_factor=4, non_linearity="gelu", leave_out=[1]),
    "no_norm_before": adapters.SeqBnConfig(reduction_factor=4, original_ln_before=False, non_linearity="leakyrelu"),
    "no_norm_after": adapters.SeqBnConfig(reduction_factor=4, original_ln_after=False, scaling=0.5),
    "skip_after_norm": adapters.SeqBnConfig(reduction_factor=4, residual_before_ln=False, non_linearity="swish"),
    "skip_after_sum": adapters.SeqBnConfig(reduction_factor=4, residual_before_ln="post_add"),
    "task": adapters.SeqBnConfig(reduction_factor=4, non_linearity="gelu"),
    "double_seq_bn": adapters.DoubleSeqBnConfig(reduction_factor=4),
}


def main(folder: Path) -> None:
    """Fill ``folder``."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(**CONFIG), add_pooling_layer=False).eval()
    shake(model)
    model.save_pretrained(folder / "model")
    model.config.name_or_path = str(folder / "model")
    adapters.init(model)
    ids = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 2, 0, 0, 0]])
    mask = (ids != 0).long()
    expected = {"ids": ids, "mask": mask, "none": final(model, ids, mask)}
    for name, config in ARCHITECTURES.items():
        model.add_adapter(name, config=config)
        shake(model, only=f".{name}.")
        model.save_adapter(str(folder / name), name, use_safetensors=True)
        model.set_active_adapters(name)
        expected[name] = final(model, ids, mask)
    model.set_active_adapters(Stack("seq_bn_inv", "task"))
    expected["stack"] = final(model, ids, mask)
    model.save_adapter(str(folder / "pickled"), "seq_bn_inv", use_safetensors=False)
    save_file(expected, folder / "expected.safetensors")
    (folder / "versions.json").write_text(json.dumps({"adapters": adapters.__version__, "torch": torch.__version__}))


def shake(model: torch.nn.Module, only: str = "") -> None:
    """Move parameters away from where they began, so that none can be left out unnoticed."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if only in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)


def final(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """States after the last layer."""
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask).last_hidden_state.clone()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
