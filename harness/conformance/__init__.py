"""The conformance suite: which promises of `implementations/PROTOCOL.md` a server keeps."""
