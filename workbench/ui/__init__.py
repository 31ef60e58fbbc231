"""The page: one tab a file, on top of the model manager; the only package that imports gradio."""
