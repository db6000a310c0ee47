"""The vendor's wire contract: pure values in ``wire``, transport in ``client``."""
