"""What CLIP is asked about every frame."""

PROMPTS = [
    "a person holding a gun",
    "a person holding a knife",
    "a street fight",
    "a burning car",
    "people at a table",
    "an office",
    "a landscape",
]
