"""What the kernels get: packed weights, flat code, and threads that run it."""
