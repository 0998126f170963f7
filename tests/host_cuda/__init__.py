"""The host engine: unmodified CUDA kernels on the CPU, for tests. See `engine.py`."""
