"""Faces that speak HTTP: the receiver of the vendor's notices."""
