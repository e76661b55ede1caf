"""What lingraft is compared with: stock PEFT, and prototypes; ``methods.yaml`` says how each is set up."""
