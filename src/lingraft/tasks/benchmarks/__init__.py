"""The named benchmarks: their files, and the tasks made of them."""
