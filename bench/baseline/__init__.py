"""The obvious scripts: one file at a time through each library's simplest call.

This is what `python -m bench` compares with. Each script loads its model, then times the loop
alone and prints one line of JSON. The ones that need PyTorch run in the environment of
`screener packs build`.
"""
