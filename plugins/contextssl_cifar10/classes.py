"""The classes and the size of CIFAR-10."""

from __future__ import annotations

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the canonical labels, 0 to 9."""
SIZE = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the 50,000 training images, in [0, 1]; measured on the canonical batches."""
EXPECTED = "cifar-10-batches-py/ or a tree train/<class>/, test/<class>/ of .jpg and .png files"
