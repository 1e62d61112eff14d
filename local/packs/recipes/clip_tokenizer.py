"""open_clip's byte-pair tokenizer as a file for the `tokenizers` library.

The servers have no PyTorch, and open_clip's tokenizer imports it.
"""

from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

_WORD_END = "</w>"
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How open_clip splits a text before it merges, without its two special marks: no text may
write those."""


def make_tokenizer(source: Any, context_length: int) -> Tokenizer:
    """A tokenizer that pads with 0 and cuts to `context_length`, keeping the end mark.

    Args:
        source: an `open_clip.tokenizer.SimpleTokenizer`.

    Raises:
        ValueError: another kind of tokenizer.
    """
    if not hasattr(source, "bpe_ranks"):
        raise ValueError(f"{type(source).__name__} is not CLIP's byte-pair tokenizer")
    start, end = source.sot_token_id, source.eot_token_id
    names = {number: token for token, number in source.encoder.items()}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=dict(source.encoder),
            merges=sorted(source.bpe_ranks, key=source.bpe_ranks.__getitem__),
            end_of_word_suffix=_WORD_END,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{names[start]} $A {names[end]}",
        special_tokens=[(names[start], start), (names[end], end)],
    )
    tokenizer.decoder = decoders.BPEDecoder(suffix=_WORD_END)
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token=names[0])
    return tokenizer
