"""How the bundled models were trained: drawings, training, truth, model card."""
