"""A categorical cause that every modality shows along a template of its own."""
