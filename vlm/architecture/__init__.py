"""The network, its processor and its adapters, in transformers' and PEFT's conventions."""
