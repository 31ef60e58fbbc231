"""Words around tokens: tokenizer, streaming, requests, and the language model above them."""
