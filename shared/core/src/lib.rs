//! What happens: states, decisions, use cases and ports of the pipeline.
