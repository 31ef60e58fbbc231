"""The benchmarks, one a file: where its rows come from, how one is read, asked about and judged."""
