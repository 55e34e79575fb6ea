//! A typed client for the Toloka API.
