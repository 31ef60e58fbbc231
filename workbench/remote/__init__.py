"""A model that another program serves, asked through OpenAI's completions API as if it were in memory here."""
