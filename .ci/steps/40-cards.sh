python -m mmmi_hf.cli.cards --check
