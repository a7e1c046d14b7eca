"""`python -m mmmi_hf`, the form that `accelerate launch -m mmmi_hf` needs."""

from mmmi_hf.cli import main

if __name__ == "__main__":
    main()
