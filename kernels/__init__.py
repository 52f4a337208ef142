"""Tensors in, tensors out: the operations that generators and encoders are made of.

Each module holds one operation: the public function with its formula and numbered steps, and a plain PyTorch
reference that follows the same steps. Import the modules one by one; this package imports nothing by itself.
"""
