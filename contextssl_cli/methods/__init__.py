"""The ways to train an encoder: ContextSSL, and the methods that it is compared with."""
