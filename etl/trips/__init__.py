"""What a run reads of an appliance, step by step: `etl.sync` leads through it."""
