"""Changes of a model whose size in nats is known: interventions on causes, modalities that are absent by chance."""
