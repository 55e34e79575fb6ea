//! The crowd port of the pipeline, spoken in the Toloka API.
