"""The HTTP API that other programs speak: OpenAI's completions, and whether the workbench is well."""
