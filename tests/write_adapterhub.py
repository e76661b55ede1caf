"""Write what the `adapters` library writes, and what it computes: the folder tests/fixtures/adapterhub.

The library needs an older transformers, so it is not among what our tests need: what it wrote is kept. `adapters`
1.3.0 with torch 2.13.0 wrote the files that are there (`written.json` says so). To write them again, in an environment
of its own:

    python3 -m venv /tmp/adapters
    /tmp/adapters/bin/pip install torch==2.13.0 adapters==1.3.0
    /tmp/adapters/bin/python tests/write_adapterhub.py tests/fixtures/adapterhub

In the folder are a small random BERT (``model``), adapters with random weights of several architectures (one folder
each), one of them by way of a pickle (``pickled-safetensors``), and ``expected.safetensors``: token ids, mask, and the
final states [B, T, H] under each.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import adapters
import torch
import transformers
from adapters.composition import Stack
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

CONFIG = {
    "vocab_size": 12,
    "hidden_size": 12,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "max_position_embeddings": 8,
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

# What lingraft tells people to run for a folder whose weights are a pickle.
CONVERSION = (
    "from adapters import AutoAdapterModel as M; m = M.from_pretrained('model'); "
    "n = m.load_adapter('pickled'); m.save_adapter('pickled-safetensors', n, use_safetensors=True)"
)


def main() -> None:
    """Fill the folder that we are in."""
    torch.manual_seed(0)
    model = BertModel(BertConfig(**CONFIG), add_pooling_layer=False).eval()
    shake(model)
    model.save_pretrained("model")
    model.config.name_or_path = "model"
    adapters.init(model)
    ids = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 2, 0, 0, 0]])
    mask = (ids != 0).long()
    expected = {"ids": ids, "mask": mask, "none": final(model, ids, mask)}
    for name, config in ARCHITECTURES.items():
        model.add_adapter(name, config=config)
        shake(model, only=f".{name}.")
        model.save_adapter(name, name, use_safetensors=True)
        model.set_active_adapters(name)
        expected[name] = final(model, ids, mask)
    model.set_active_adapters(Stack("seq_bn_inv", "task"))
    expected["stack"] = final(model, ids, mask)
    save_file(expected, "expected.safetensors")
    model.save_adapter("pickled", "seq_bn_inv", use_safetensors=False)
    subprocess.run([sys.executable, "-c", CONVERSION], check=True)
    pickled = sorted(path.name for path in Path("pickled").iterdir())
    shutil.rmtree("pickled")
    versions = {library.__name__: library.__version__ for library in (adapters, torch, transformers)}
    written = {"versions": versions, "conversion": CONVERSION, "pickled": pickled}
    Path("written.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


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
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    main()
