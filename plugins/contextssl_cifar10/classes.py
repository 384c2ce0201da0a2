"""What is known of CIFAR-10 before it is read."""

from __future__ import annotations

from contextssl_cli.plugin.sources import PublishedFile

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the canonical labels, 0 to 9."""
SIZE = 32
COUNTS = {"train": 50_000, "test": 10_000}
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the training images, in [0, 1]; as published for the canonical batches."""
PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = PublishedFile("6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", 170_498_071)
"""Of the archive. Its authors name the MD5 c58f30108f718f92721af3b95e74349a; the SHA-256 of the same file is that of
Keras and of torchvision's prototype of data sets."""
EXPECTED = "cifar-10-batches-py/, or train/<class>/ and test/<class>/ with .jpg or .png files, or a tar.gz of either"
