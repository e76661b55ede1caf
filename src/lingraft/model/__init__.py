"""The trained network: a frozen stack with prompts, adapters and heads grafted onto it."""
